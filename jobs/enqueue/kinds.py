"""Lock the kinds of new jobs against deletion, create those that are missing, and read what they say of the jobs."""

from collections.abc import Collection
from dataclasses import dataclass

from django.conf import settings

from jobs.enqueue import pending
from jobs.enqueue.statements import run
from jobs.lifecycle import gates
from jobs.models import JobKind


@dataclass(frozen=True)
class Kinds:
    """What the kinds of new jobs say of them: `max_attempts` by kind, and the bounds (`jobs.enqueue.pending`).

    `limited`: those that have limits.
    """

    attempts: dict[str, int]
    bounds: dict[str, int]
    limited: frozenset[str]

    @property
    def unlimited(self) -> dict[str, bytes]:
        """The `max_attempts` of kinds without limits, as rows have it."""
        return {name: b"%d" % n for name, n in self.attempts.items() if name not in self.limited}

    def open_gates(self, groups: Collection[tuple[str, str]], kinds: Collection[str]) -> None:
        """Open the gates of these groups, and those of these kinds that have limits, after the commit."""
        gates.open_added({*groups, *((kind, "") for kind in self.limited.intersection(kinds))})


def lock_kinds(names: list[str]) -> Kinds:
    """Return what these kinds say. Creates those that are missing; none can be deleted in this transaction."""
    rows = {row["name"]: row for row in run("kinds", names=names)} if names else {}
    if len(rows) < len(names):
        # Sorted, so that two producers with the same new kinds cannot deadlock.
        JobKind.objects.bulk_create([JobKind(name=n) for n in names if n not in rows], ignore_conflicts=True)
        rows = {row["name"]: row for row in run("kinds", names=names)}
    bounds = {name: row["max_pending"] for name, row in rows.items() if row["max_pending"]}
    if settings.MAX_PENDING:
        bounds[pending.ALL] = settings.MAX_PENDING
    limited = frozenset(name for name, row in rows.items() if row["limited"])
    return Kinds({name: row["max_attempts"] for name, row in rows.items()}, bounds, limited)
