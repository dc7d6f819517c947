"""Seed a development database with a plausible past (`manage.py seed`), to see the console at size.

Finished jobs are written as rows. Pending and held jobs come from the lifecycle's verbs, so that the bots' leases are
real ones.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from bots import roster
from bots.models import Bot
from jobs import lifecycle
from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.models import Job, JobKind
from jobs.states import JobStatus, Policy
from jobs.stats import rollup
from jobs.sweep import run
from jobsite.lib.sql import Statements

SQL = Statements(Path(__file__).parent / "sql")


class Kind(NamedTuple):
    """How jobs of a kind went in the past."""

    #: Seconds that one may run, and that half of them ran for.
    limit: int
    median: float
    #: How far run times are apart.
    spread: float
    #: Of how many jobs it has a part, and which part of its own fails.
    share: float
    failing: float


KINDS = {
    "invoice.render": Kind(60, 0.9, 0.5, 0.28, 0.004),
    "mail.send": Kind(30, 0.3, 0.6, 0.32, 0.010),
    "image.resize": Kind(120, 1.8, 0.7, 0.15, 0.006),
    "report.build": Kind(600, 24.0, 0.8, 0.07, 0.030),
    "video.transcode": Kind(1800, 140.0, 0.6, 0.03, 0.055),
    "crm.sync": Kind(120, 4.0, 0.9, 0.08, 0.080),
    "search.index": Kind(120, 2.2, 0.4, 0.05, 0.002),
    "backup.verify": Kind(900, 60.0, 0.5, 0.02, 0.015),
}
TEAMS = ("fetch", "print", "image", "batch", "night")
#: How many rows one statement writes.
BATCH = 20_000
HISTORY = timedelta(days=7)


def seed(rows: int, bots: int, advance: Callable[[int], None]) -> None:
    """Write `rows` finished jobs, register `bots` bots, and let them hold some jobs, a few of them stuck.

    `advance` is called after each batch with its number of rows.
    """
    make_kinds(KINDS)
    fleet = registered([f"{TEAMS[n % len(TEAMS)]}-{n // len(TEAMS) + 1:03}" for n in range(bots)])
    with counted_late(HISTORY):
        write_past(rows, KINDS, [bot.pk for bot in fleet], HISTORY, advance)
    _present(fleet)
    write_backlog(HISTORY)


def make_kinds(kinds: dict[str, Kind]) -> None:
    """Create these kinds. A job that hangs is flagged and stays where it is, to be seen."""
    for name, kind in kinds.items():
        JobKind.objects.get_or_create(
            name=name, defaults={"run_within": timedelta(seconds=kind.limit), "when_silent": Policy.FLAG}
        )


def registered(names: Sequence[str]) -> list[Bot]:
    """Return the bots of these names, in their order. Registers those that are not there."""
    known = {bot.name: bot for bot in Bot.objects.filter(name__in=names)}
    return [known.get(name) or roster.register(name=name, capacity=4)[0] for name in names]


@contextmanager
def counted_late(past: timedelta) -> Iterator[None]:
    """Let the statistics count what is written within, though they have counted that time before."""
    rollup.add_closed_minutes()
    before = rollup.snapshot()
    yield
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE jobs_job, jobs_jobevent, bots_bot")
    rollup.reopen(before, past)
    rollup.add_closed_minutes()


def write_past(
    rows: int, kinds: dict[str, Kind], bots: list[int], past: timedelta, advance: Callable[[int], None]
) -> None:
    """Write `rows` finished jobs of these kinds and bots, spread over so much of the past."""
    until = timezone.now() - timedelta(seconds=90)
    whole = sum(kind.share for kind in kinds.values())
    high = [share / whole for share in accumulate(kind.share for kind in kinds.values())]
    params: dict[str, Any] = {
        "rows": rows, "until": until, "past": past, "days": past.days, "bots": bots,
        "tag": f"{until:%Y%m%d%H%M%S%f}", "kinds": list(kinds), "low": [0.0, *high[:-1]], "high": [*high[:-1], 1.0],
    }  # fmt: skip
    params |= {name: [getattr(kind, name) for kind in kinds.values()] for name in ("median", "spread", "failing")}
    for first in range(1, rows + 1, BATCH):
        last = min(first + BATCH - 1, rows)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = off")
            cursor.execute(SQL.text("seed"), params | {"first": first, "last": last})
        advance(last - first + 1)


def write_backlog(past: timedelta) -> None:
    """Write the backlog of so much of the past, as the sweep would have counted it."""
    until = timezone.now().replace(second=0, microsecond=0)
    keep = {f"keep_{span}": rollup.KEEP[span] for span in rollup.WIDTH}
    SQL.rows("backlog", since=until - past, until=until, zone=settings.TIME_ZONE, **keep)


def _present(fleet: list[Bot]) -> None:
    """Enqueue and claim jobs by the verbs, then make a few leases older than they are."""
    now = timezone.now()
    dice = random.Random(7)  # noqa: S311  believable, not secret
    insert.enqueue([_waiting(dice, now) for _ in range(1200)])
    for n, bot in enumerate(fleet):
        if n % 9 == 8:
            continue
        lifecycle.claim(bot, limit=1 + n % 2, start=n % 7 != 3)
        lifecycle.see(bot, version="4.2.1", always=True)
    roster.pause(Bot.objects.filter(pk__in=[bot.pk for bot in fleet[5::31]]))
    held = Job.objects.held().filter(status=JobStatus.PROCESSING)
    with connection.cursor() as cursor:
        cursor.execute(LIVE)
    for bots, minutes in ((fleet[2::29], 3), (fleet[11::47], 8)):
        make_older(dict.fromkeys(held.filter(claimed_by__in=bots).values_list("pk", flat=True), minutes))
    run.sweep()


LIVE = """
    UPDATE jobs_job
    SET claimed_at = claimed_at - id % 25 * interval '1 second',
        started_at = started_at - id % 25 * interval '1 second',
        created_at = created_at - (30 + id % 600) * interval '1 second',
        run_at = run_at - (30 + id % 600) * interval '1 second',
        progress = CASE WHEN status = 'processing' THEN id * 37 % 100 END
    WHERE status IN ('claimed', 'processing')
"""
OLDER = """
    UPDATE jobs_job
    SET claimed_at = claimed_at - by.minutes * interval '1 minute',
        started_at = started_at - by.minutes * interval '1 minute',
        heartbeat_at = heartbeat_at - by.minutes * interval '1 minute', deadline_at = statement_timestamp(),
        created_at = created_at - by.minutes * interval '1 minute',
        run_at = run_at - by.minutes * interval '1 minute'
    FROM unnest(%(ids)s::bigint[], %(minutes)s::float8[]) AS by(id, minutes)
    WHERE jobs_job.id = by.id
"""


def make_older(jobs: Mapping[int, float]) -> None:
    """Make each of these leases so many minutes older, and due for the sweep."""
    with connection.cursor() as cursor:
        cursor.execute(OLDER, {"ids": list(jobs), "minutes": list(jobs.values())})


def _waiting(dice: random.Random, now: datetime) -> NewJob:
    later = dice.random() < 0.1
    return NewJob(
        kind=dice.choice(list(KINDS)),
        payload={"customer": dice.randint(1, 900), "source": dice.choice(["web", "api", "import"])},
        priority=dice.choice([0, 0, 0, 5, 10]),
        run_at=now + timedelta(minutes=dice.randint(5, 600)) if later else None,
    )
