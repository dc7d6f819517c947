"""Count failures into error groups: each closed minute once, as the statistics do, and no minute before it is final."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import Count, Q

from jobs.error_groups.models import hour_of
from jobs.models import ErrorGroup, RollupState
from jobs.states import ErrorStatus
from jobs.stats import rollup
from jobsite.lib.clock import database_now
from jobsite.lib.locks import Lock, try_lock
from jobsite.lib.sql import Statements

SQL = Statements(Path(__file__).parent / "sql")
#: A kind has this many groups of its own. What is unlike all of them is counted together.
MOST_OF_KIND = 500
OTHERS = "errors unlike those in the other groups of this kind"
#: How many bots and versions of a group are named, and for how long its hours are kept.
NAMED, HOURS_KEPT = 50, timedelta(hours=48)
#: Groups are forgotten that nobody ignores and that have not failed for so long.
KEPT = timedelta(days=90)
#: How far back the first count looks, and how much one transaction counts.
FIRST, CHUNK = timedelta(days=2), timedelta(hours=6)


@dataclass
class Failures:
    """The failures of a group that are to be added to it."""

    words: str
    first_at: datetime
    last_at: datetime
    last_job: int
    count: int = 0
    hours: dict[str, int] = field(default_factory=dict)
    bots: dict[str, int] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)

    def add(self, row: Mapping[str, Any], hour: str) -> None:
        """Add a row of `failures.sql`."""
        self.count += row["n"]
        for counts, name in ((self.hours, hour), (self.bots, row["bot"]), (self.versions, row["version"])):
            if name:
                counts[name] = counts.get(name, 0) + row["n"]
        self.first_at = min(self.first_at, row["first_at"])
        self.last_job = max(self.last_job, row["last_job"])
        self.last_at = max(self.last_at, row["last_at"])


#: A kind and a fingerprint.
Key = tuple[str, str]


def count_failures() -> int:
    """Count all failures of minutes that are final and not counted yet. Returns how many."""
    counted, more = 0, True
    while more:
        n, more = _count_chunk()
        counted += n
    return counted


def prune() -> int:
    """Forget groups that have not failed for long. One that is ignored stays ignored."""
    old = ErrorGroup.objects.exclude(status=ErrorStatus.IGNORED).filter(last_at__lt=database_now() - KEPT)
    return old.delete()[0]


@transaction.atomic
def _count_chunk() -> tuple[int, bool]:
    """Count up to `CHUNK`. Returns how many failures, and whether there is more to count."""
    if try_lock(Lock.ERROR_GROUPS) is None:
        return 0, False
    final = rollup.complete_until()
    state = RollupState.objects.first()
    if final is None or state is None:
        return 0, False
    since = state.errors_until or final - FIRST
    until = min(final, since + CHUNK)
    if until <= since:
        return 0, False
    found = _by_group(SQL.rows("failures", since=since, until=until))
    _add(found, until)
    RollupState.objects.update(errors_until=until)
    return sum(failures.count for failures in found.values()), until < final


def _by_group(rows: Iterable[Mapping[str, Any]]) -> dict[Key, Failures]:
    found: dict[Key, Failures] = {}
    for row in rows:
        key = (row["kind"], row["fingerprint"])
        if key not in found:
            found[key] = Failures(row["words"], row["first_at"], row["last_at"], row["last_job"])
        found[key].add(row, hour_of(row["hour"]))
    return found


def _add(found: dict[Key, Failures], until: datetime) -> None:
    if not found:
        return
    kinds = {kind for kind, _ in found}
    known = _known(kinds, found)
    room = dict.fromkeys(kinds, MOST_OF_KIND)
    counts = ErrorGroup.objects.filter(kind__in=kinds).exclude(fingerprint="").order_by().values_list("kind")
    for kind, n in counts.annotate(n=Count("pk")):
        room[kind] -= n
    new: dict[Key, ErrorGroup] = {}
    for (kind, fingerprint), failures in found.items():
        key = (kind, fingerprint)
        if key not in known and room[kind] <= 0:
            key, failures.words = (kind, ""), OTHERS
        if key not in known and key not in new:
            room[kind] -= 1 if key[1] else 0
            new[key] = _new_group(key, failures)
        _grow(known.get(key) or new[key], failures, until)
    ErrorGroup.objects.bulk_create(new.values())
    grown = ["status", "count", "hours", "bots", "versions", "last_at", "last_job", "back_at"]
    ErrorGroup.objects.bulk_update(known.values(), grown)


def _known(kinds: Iterable[str], found: Iterable[Key]) -> dict[Key, ErrorGroup]:
    """The groups that there are of these, and those of what is unlike all others, locked."""
    fingerprints = {fingerprint for _, fingerprint in found}
    rows = ErrorGroup.objects.filter(Q(fingerprint__in=fingerprints) | Q(fingerprint=""), kind__in=kinds)
    return {(row.kind, row.fingerprint): row for row in rows.order_by("pk").select_for_update(no_key=True)}


def _new_group(key: Key, failures: Failures) -> ErrorGroup:
    kind, fingerprint = key
    return ErrorGroup(
        kind=kind, fingerprint=fingerprint, words=failures.words, first_at=failures.first_at,
        last_at=failures.last_at, last_job=failures.last_job,
    )  # fmt: skip


def _grow(group: ErrorGroup, failures: Failures, until: datetime) -> None:
    """Add these failures. A group that was resolved before the last of them is open again: it is back."""
    group.count += failures.count
    oldest = hour_of(until - HOURS_KEPT)
    group.hours = {hour: n for hour, n in _added(group.hours, failures.hours).items() if hour >= oldest}
    group.bots = _most(_added(group.bots, failures.bots))
    group.versions = _most(_added(group.versions, failures.versions))
    group.last_at = max(group.last_at, failures.last_at)
    group.last_job = max(group.last_job, failures.last_job)
    resolved = group.status == ErrorStatus.RESOLVED and group.changed_at is not None
    if resolved and failures.last_at > group.changed_at:  # type: ignore[operator]
        group.status, group.back_at = ErrorStatus.OPEN, failures.last_at


def _added(counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {name: counts.get(name, 0) + more.get(name, 0) for name in (*counts, *(more.keys() - counts.keys()))}


def _most(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:NAMED])
