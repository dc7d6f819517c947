"""Seed a development database with a plausible past (`manage.py seed`), to see the console at size.

Finished jobs are written as rows. Pending and held jobs come from the lifecycle's verbs, so that the bots' leases are
real ones.
"""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from bots import roster
from bots.models import Bot
from jobs import lifecycle
from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.models import JobKind
from jobs.states import Policy
from jobs.stats import rollup
from jobs.sweep import run

SQL = (Path(__file__).parent / "sql" / "seed.sql").read_text(encoding="utf-8")
#: The kinds of the past, and how many seconds each may run.
KINDS = {
    "invoice.render": 60, "mail.send": 30, "image.resize": 120, "report.build": 600, "video.transcode": 1800,
    "crm.sync": 120, "search.index": 120, "backup.verify": 900,
}  # fmt: skip
TEAMS = ("fetch", "print", "image", "batch", "night")
#: How many rows one statement writes.
BATCH = 20_000
HISTORY = timedelta(days=7)


def seed(rows: int, bots: int, advance: Callable[[int], None]) -> None:
    """Write `rows` finished jobs, register `bots` bots, and let them hold some jobs, a few of them stuck.

    `advance` is called after each batch with its number of rows.
    """
    for name, seconds in KINDS.items():
        JobKind.objects.get_or_create(
            name=name, defaults={"run_within": timedelta(seconds=seconds), "when_silent": Policy.FLAG}
        )
    fleet = _fleet(bots)
    _past(rows, [bot.pk for bot in fleet], advance)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE jobs_job, jobs_jobevent, bots_bot")
    rollup.add_closed_minutes()
    _present(fleet)


def _fleet(count: int) -> list[Bot]:
    names = [f"{TEAMS[n % len(TEAMS)]}-{n // len(TEAMS) + 1:03}" for n in range(count)]
    known = set(Bot.objects.filter(name__in=names).values_list("name", flat=True))
    for name in names:
        if name not in known:
            roster.register(name=name, capacity=4)
    return list(Bot.objects.filter(name__in=names).order_by("name"))


def _past(rows: int, bots: list[int], advance: Callable[[int], None]) -> None:
    until = timezone.now() - timedelta(seconds=90)
    params: dict[str, Any] = {
        "rows": rows, "until": until, "past": HISTORY, "days": HISTORY.days, "bots": bots,
        "tag": f"{until:%Y%m%d%H%M%S}",
    }  # fmt: skip
    for first in range(1, rows + 1, BATCH):
        last = min(first + BATCH - 1, rows)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = off")
            cursor.execute(SQL, params | {"first": first, "last": last})
        advance(last - first + 1)


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
    with connection.cursor() as cursor:
        cursor.execute(LIVE)
        cursor.execute(AGE, {"ids": [bot.pk for bot in fleet[2::29]], "minutes": 3})
        cursor.execute(AGE, {"ids": [bot.pk for bot in fleet[11::47]], "minutes": 8})
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
AGE = """
    UPDATE jobs_job
    SET claimed_at = claimed_at - %(minutes)s * interval '1 minute',
        started_at = started_at - %(minutes)s * interval '1 minute',
        heartbeat_at = heartbeat_at - %(minutes)s * interval '1 minute', deadline_at = statement_timestamp(),
        created_at = created_at - %(minutes)s * interval '1 minute',
        run_at = run_at - %(minutes)s * interval '1 minute'
    WHERE claimed_by_id = ANY (%(ids)s::bigint[]) AND status = 'processing'
"""


def _waiting(dice: random.Random, now: datetime) -> NewJob:
    later = dice.random() < 0.1
    return NewJob(
        kind=dice.choice(list(KINDS)),
        payload={"customer": dice.randint(1, 900), "source": dice.choice(["web", "api", "import"])},
        priority=dice.choice([0, 0, 0, 5, 10]),
        run_at=now + timedelta(minutes=dice.randint(5, 600)) if later else None,
    )
