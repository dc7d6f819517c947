"""The counters of `/metrics` that are about jobs: kept in the database, so that every process says the same.

Counters only ever rise. What ended is added up once, a closed minute at a time (`keep`, which every sweep's command
calls), from the same two indexes that the console's figures use; no scrape counts what exists, and neither pruning nor
a restart takes anything back. How many kinds have counters of their own is bounded
(docs/decisions/0010-statistics.md).
"""

from collections import Counter
from datetime import datetime, timedelta
from time import monotonic
from typing import NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from jobs.figures import CHUNK, SETTLED, WIDTH
from jobs.models import JobKind, Metered
from jobs.states import JobStatus, Meter, Span
from jobs.stats.statements import run

#: The kind that stands for all that have no counters of their own. No kind can be called so (`models.KIND_PATTERN`).
OTHER = "_other"
#: The steps of the histograms, in seconds. Counters on other steps cannot be added: to change them, empty the table.
STEPS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
#: How far pending jobs of a kind are counted while Prometheus waits. Beyond it the sweep's last count is told.
COUNTED = 2000
#: The sweep counts all pending jobs at most so often …
COUNT_EVERY = timedelta(seconds=50)
#: … and spends at most one part in so many of its time on it.
COUNT_SHARE = 100
#: Any number that no other lock of this database has.
LOCK = 0x3E7E2


class Reading(NamedTuple):
    """One counter: `n`, or for a histogram also the sum of the seconds and the count on each of `STEPS` and beyond."""

    n: int
    seconds: float = 0.0
    steps: tuple[int, ...] = ()


# --- Keeping ------------------------------------------------------------------------------------------------------


def keep(now: datetime | None = None) -> int:
    """Add every minute that has closed since the last time. Returns how many; 0 when somebody else is at it.

    The first time it only sets the mark: counters begin at nought then.
    """
    minutes = 0
    while added := _add_chunk(now or timezone.now()):
        minutes += added
    return minutes


def _add_chunk(now: datetime) -> int:
    until = (now - SETTLED).replace(second=0, microsecond=0)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
            if not cursor.fetchone()[0]:
                return 0
        own = _own_kinds()
        since = mark()
        reached = until if since is None else min(until, since + CHUNK)
        minutes = 0 if since is None else max(0, int((reached - since) / WIDTH[Span.MINUTE]))
        kinds = {"own": own, "other": OTHER}
        if since is not None and minutes:
            turned = [-step for step in reversed(STEPS)]
            run("meter", since=since, until=reached, steps=turned, last=len(STEPS), **kinds)
        if since is None or minutes:
            _put({(Meter.MARK, ""): Reading(0)}, at=reached)
        if reached == until:
            run("meter_claims", since=mark(), until="infinity", **kinds)
            _count_pending(own, now)
    return minutes


def _own_kinds() -> list[str]:
    """The kinds with counters of their own: the first so many that there were. One that has some keeps them."""
    own = set(Metered.objects.filter(name=Meter.KIND).values_list("kind", flat=True))
    room = settings.METRICS_KINDS - len(own)
    if room > 0:
        new = JobKind.objects.exclude(name__in=own).order_by("created_at", "name").values_list("name", flat=True)
        names = list(new[:room])
        Metered.objects.bulk_create([Metered(name=Meter.KIND, kind=name) for name in names], ignore_conflicts=True)
        own |= set(names)
    return sorted(own)


def _count_pending(own: list[str], now: datetime) -> None:
    """Count all pending jobs by kind, when the last count is old enough for what it cost."""
    last = Metered.objects.filter(name=Meter.COUNTED).first()
    if last is not None and now - last.at < max(COUNT_EVERY, timedelta(seconds=last.seconds * COUNT_SHARE)):
        return
    began = monotonic()
    counts = Counter({row["kind"]: row["n"] for row in run("meter_pending", own=own, other=OTHER)})
    readings = {(Meter.PENDING, kind): Reading(counts[kind]) for kind in (*own, OTHER)}
    _put(readings | {(Meter.COUNTED, ""): Reading(sum(counts.values()), monotonic() - began)}, at=now)


def _put(readings: dict[tuple[Meter, str], Reading], at: datetime) -> None:
    rows = [Metered(name=name, kind=kind, n=r.n, seconds=r.seconds, at=at) for (name, kind), r in readings.items()]
    Metered.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["name", "kind", "source"],
        update_fields=["n", "seconds", "at"],
    )


def mark() -> datetime | None:
    """Until when the counters have counted. None: they have not begun."""
    return Metered.objects.filter(name=Meter.MARK).values_list("at", flat=True).first()


# --- Reading ------------------------------------------------------------------------------------------------------


def readings() -> dict[Meter, dict[tuple[str, str], Reading]]:
    """All that is kept, by name and then by kind and source."""
    found: dict[Meter, dict[tuple[str, str], Reading]] = {name: {} for name in Meter}
    for row in Metered.objects.values_list("name", "kind", "source", "n", "seconds", "steps"):
        found[Meter(row[0])][row[1], row[2]] = Reading(row[3], row[4], tuple(row[5]))
    return found


def live(kept: dict[tuple[str, str], Reading], own: list[str]) -> dict[tuple[str, str], int]:
    """How many jobs are pending, claimed and processing, by kind and status.

    `kept` are the sweep's counts of pending jobs: they stand for kinds with more than `COUNTED`, and for `OTHER`.
    """
    found = {(row["kind"], row["status"]): row["n"] for row in run("live", own=own, other=OTHER, most=COUNTED)}
    for kind in (*own, OTHER):
        key = (kind, str(JobStatus.PENDING))
        if kind == OTHER or found[key] > COUNTED:
            found[key] = max(found.get(key, 0), kept.get((kind, ""), Reading(0)).n)
    return found
