"""Which jobs to delete for good, with all that is stored about them, and a part of them at a time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Q

from bots.audit import HIDDEN
from jobs import lifecycle
from jobs.lifecycle import By
from jobs.lists import index_merge
from jobs.models import Job, JobKind
from jobs.states import JobStatus

#: Jobs deleted in one transaction, each with an entry of the audit log.
BATCH_SIZE = 500
#: The most jobs that one call looks through, where its conditions have no index.
SEARCHED = 20_000


@dataclass(frozen=True)
class Selection:
    """Jobs by all of these conditions; one that is empty is none. `payload`: what their payloads contain, as JSON."""

    ids: tuple[int, ...] = ()
    kinds: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    payload: Mapping[str, Any] = field(default_factory=dict)
    created_before: datetime | None = None
    finished_before: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it has no condition: all jobs are never meant."""
        return self == Selection()

    def recorded(self) -> dict[str, Any]:
        """The conditions for the audit log, without values that may name a person."""
        named = {name: value for name, value in vars(self).items() if value}
        personal = ("keys", "groups", "payload")
        return {name: HIDDEN if name in personal else _json(value) for name, value in named.items()}

    def condition(self) -> Q:
        """All conditions."""
        wanted = {
            "pk__in": self.ids, "kind__in": self.kinds, "status__in": self.statuses, "key__in": self.keys,
            "group_name__in": self.groups,
            "created_at__lt": self.created_before, "finished_at__lt": self.finished_before,
        }  # fmt: skip
        found = Q(**{lookup: value for lookup, value in wanted.items() if value})
        return found & Q(payload__contains=self.payload) if self.payload else found

    def next_ids(self, after: int, most: int) -> tuple[list[int], int | None]:
        """Return the first `most` ids above `after`, and the id up to which it has searched. None: to the end."""
        end = None
        if self.ids or self.keys or self.groups:
            # The indexes on keys begin with the kind.
            kinds = self.kinds or tuple(JobKind.objects.order_by().values_list("name", flat=True))
            jobs = Job.objects.filter(self.condition(), pk__gt=after)
            jobs = jobs.filter(pk__in=list(Job.objects.with_keys(kinds, self.keys))) if self.keys else jobs
            ids = list(jobs.order_by("id").values_list("id", flat=True)[:most])
        else:
            statuses = self.statuses or JobStatus.values
            ranges = index_merge.select(statuses=statuses, kinds=self.kinds).between(after=after)
            if self.payload or self.created_before or self.finished_before:
                # These have no index.
                end = index_merge.nth(ranges, SEARCHED, newest=False)
                ranges = ranges.between(before=None if end is None else end + 1).where(self.condition())
            ids = index_merge.ids(ranges, most, newest=False)
        return ids, ids[-1] if len(ids) == most else end


@dataclass(frozen=True)
class Deleted:
    """What was done: how many jobs match that nobody holds, and how many were left since a bot holds them.

    `after`: where the next part begins. None: there is none.
    """

    jobs: int
    held: int
    after: int | None


def delete(selection: Selection, *, by: By, reason: str, most: int, after: int = 0, dry_run: bool = False) -> Deleted:
    """Delete up to `most` jobs of the selection, in batches. With `dry_run` only count them.

    A job that a bot holds is left: cancel or release it first. Each batch is a transaction with its audit entry.
    """
    done = held = 0
    at: int | None = after
    while at is not None and done + held < most:
        size = min(BATCH_SIZE, most - done - held)
        ids, at = selection.next_ids(at, size)
        jobs = Job.objects.filter(selection.condition(), pk__in=ids)
        if dry_run:
            n = jobs.filter(claimed_by=None).count()
        else:
            n = lifecycle.delete(jobs, by=by, reason=reason, selected=selection.recorded()) if ids else 0
        done, held = done + n, held + len(ids) - n
        if at is not None and len(ids) < size:
            # One call looks through so many, whether it finds any or not.
            break
    return Deleted(done, held, at)


def _json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
