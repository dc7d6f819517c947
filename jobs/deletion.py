"""Which jobs to delete for good, with all that is stored about them, and a part of them at a time."""

from dataclasses import dataclass
from typing import Any

from bots.audit import HIDDEN
from jobs import lifecycle
from jobs.lifecycle import By
from jobs.lists import index_merge
from jobs.lists.filters import JobFilter

#: Jobs deleted in one transaction, each with an entry of the audit log.
BATCH_SIZE = 500
#: The most jobs that one call looks through, where its conditions have no index.
SEARCHED = 20_000


@dataclass(frozen=True)
class Deleted:
    """What was done: how many jobs match that nobody holds, and how many were left since a bot holds them.

    `after`: where the next part begins. None: there is none.
    """

    jobs: int
    held: int
    after: int | None


def delete(job_filter: JobFilter, *, by: By, reason: str, most: int, after: int = 0, dry_run: bool = False) -> Deleted:
    """Delete up to `most` jobs that match, in batches. With `dry_run` only count them.

    A job that a bot holds is left: cancel or release it first. Each batch is a transaction with its audit entry.
    """
    done = held = 0
    at: int | None = after
    while at is not None and done + held < most:
        size = min(BATCH_SIZE, most - done - held)
        ids, at = _next_ids(job_filter, at, size)
        jobs = job_filter.jobs().filter(pk__in=ids)
        if dry_run:
            n = jobs.filter(claimed_by=None).count()
        else:
            n = lifecycle.delete(jobs, by=by, reason=reason, selected=_recorded(job_filter)) if ids else 0
        done, held = done + n, held + len(ids) - n
        if at is not None and len(ids) < size:
            # One call looks through so many, whether it finds any or not.
            break
    return Deleted(done, held, at)


def _next_ids(job_filter: JobFilter, after: int, most: int) -> tuple[list[int], int | None]:
    """Return the first `most` ids above `after`, and the id up to which it has searched. None: to the end."""
    end = None
    if (named := job_filter.by_index) is not None:
        ids = list(named.filter(pk__gt=after).order_by("id").values_list("id", flat=True)[:most])
    else:
        ranges = job_filter.base().between(after=after)
        if job_filter.narrow:
            end = index_merge.nth(ranges, SEARCHED, newest=False)
            ranges = ranges.between(before=None if end is None else end + 1).where(job_filter.rest())
        ids = index_merge.ids(ranges, most, newest=False)
    return ids, ids[-1] if len(ids) == most else end


def _recorded(job_filter: JobFilter) -> dict[str, Any]:
    """The conditions for the audit log, without values that may name a person."""
    named = {
        "ids": list(job_filter.ids), "kinds": list(job_filter.among), "statuses": list(job_filter.in_statuses),
        "keys": job_filter.keys and HIDDEN, "groups": job_filter.groups and HIDDEN,
        "payload": job_filter.contains and HIDDEN,
        "created_before": job_filter.created_before, "finished_before": job_filter.finished_before,
    }  # fmt: skip
    return {name: value for name, value in named.items() if value}
