"""Whether limits held, by the leases themselves: from when a job was claimed until its lease ended, by the rows."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

#: Every lease there was: of jobs that are held or have succeeded, and those whose end is an event.
LEASES = """
    SELECT j.kind_id, j.group_name, j.id, j.claimed_at, CASE WHEN j.claimed_by_id IS NULL THEN j.finished_at END
    FROM jobs_job j WHERE j.claimed_by_id IS NOT NULL OR j.status = 'succeeded'
    UNION ALL
    SELECT j.kind_id, j.group_name, j.id, (e.detail->>'claimed_at')::timestamptz, e.at
    FROM jobs_jobevent e JOIN jobs_job j ON j.id = e.job_id
    WHERE e.verb IN ('release', 'defer', 'expire', 'fail', 'cancel') AND e.detail ? 'claimed_at'
"""


class Lease(NamedTuple):
    """One lease. One that has not ended has no `ended`."""

    kind: str
    group: str
    job: int
    began: datetime
    ended: datetime | None


class Limit(NamedTuple):
    """A limit that was set between two moments: one before the change, and one after the last claim by the old one."""

    before: datetime
    after: datetime
    held: int


def too_many_held(
    leases: Iterable[Lease], limits: Sequence[Limit], by: Callable[[Lease], object]
) -> list[tuple[Lease, int, int]]:
    """Leases that began while as many of the same were held as the limit allows: each with the number, and the limit.

    `by`: what is counted together. `limits`: in the order of time.
    """
    groups = defaultdict[object, list[Lease]](list)
    for lease in leases:
        groups[by(lease)].append(lease)
    found = []
    for rows in groups.values():
        # What ended at the same moment has ended before.
        moments = [(lease.began, 1, lease) for lease in rows]
        moments += [(lease.ended, -1, lease) for lease in rows if lease.ended is not None]
        held = 0
        for at, change, lease in sorted(moments, key=lambda moment: moment[:2]):
            held += change
            allowed = _allowed(limits, at)
            if change > 0 and held > allowed:
                found.append((lease, held, allowed))
    return found


def _allowed(limits: Sequence[Limit], at: datetime) -> int:
    """The limit of this moment. While it is changed it is the larger one."""
    ends = [*(limit.after for limit in limits[1:]), datetime.max.replace(tzinfo=at.tzinfo)]
    return max(limit.held for limit, end in zip(limits, ends, strict=True) if limit.before <= at <= end)


def most_started(leases: Iterable[Lease], period: timedelta) -> int:
    """The largest number of starts within any window of this length, which slides over all of them."""
    starts, first, most = sorted(lease.began for lease in leases), 0, 0
    for n, at in enumerate(starts):
        while starts[first] <= at - period:
            first += 1
        most = max(most, n - first + 1)
    return most
