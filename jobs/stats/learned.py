"""What is learned of a kind from its own recent successes: how long its jobs run, and so how long is too long.

Run times are counted in buckets that grow by a tenth each, so that any of them is known to within `ERROR`. Two blocks
of at least `BLOCK` successes are kept, the one before and the latest; when the latest is full, the one before is
deleted (docs/decisions/0012-limits-and-verdicts.md). Nothing here reads a job: `jobs.stats.rollup` passes on what it
adds.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db.models.functions import Now

from bots.health import Usual
from jobs.models import JobKind, Learned
from jobs.stats.times import ERROR, FINE, LEARNED, RATIO, SHORTEST

BUCKETS = len(LEARNED)

#: Successes after which a block is full. The limit comes from one to two blocks.
BLOCK = 500
#: From so many successes on there is a learned limit: one job is at most a hundredth of them, and does not move it.
ENOUGH = 100
#: The limit is so many times the run time within which this share of the successes stayed, and never less than `LEAST`.
SHARE, TIMES, LEAST = 0.99, 3, timedelta(minutes=1)

#: What is usual is expressed by one of these, the first under which at least `MOST` of the jobs stayed.
MOST = 0.8
ROUND = tuple(
    timedelta(seconds=seconds)
    for seconds in (
        1, 2, 3, 5, 10, 20, 30, 60, 120, 180, 300, 600, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800,
        432_000, 864_000, 2_592_000,
    )
)  # fmt: skip


def reach(bucket: int) -> float:
    """The longest run time in this bucket, in seconds."""
    return float(SHORTEST * RATIO**bucket)


@dataclass(frozen=True)
class Recent:
    """A kind's recent successes by run time: one count for each bucket, in two blocks."""

    before: Sequence[int] = (0,) * BUCKETS
    latest: Sequence[int] = (0,) * BUCKETS

    def and_then(self, added: Mapping[int, int]) -> "Recent":
        """With these counts, `{bucket: jobs}`, that came after all the others."""
        full = sum(self.latest) >= BLOCK
        before, latest = (self.latest, [0] * BUCKETS) if full else (self.before, list(self.latest))
        for bucket, jobs in added.items():
            latest[bucket] += jobs
        return Recent(before, latest)

    @property
    def counts(self) -> list[int]:
        """Successes in each bucket."""
        return [a + b for a, b in zip(self.before, self.latest, strict=True)]

    @property
    def jobs(self) -> int:
        """How many successes are known."""
        return sum(self.before) + sum(self.latest)

    def within(self, seconds: float) -> int:
        """How many of them surely took no longer than this."""
        return sum(n for bucket, n in enumerate(self.counts) if reach(bucket) <= seconds)

    def longest_of(self, share: float) -> float | None:
        """The run time, in seconds, within which this share of them stayed; None when there are none."""
        rank, seen = math.ceil(share * self.jobs - 1e-9), 0
        for bucket, n in enumerate(self.counts):
            seen += n
            if n and seen >= rank:
                # The middle of the bucket, so that whatever is in it is at most `ERROR` away.
                return reach(bucket) * (1 - ERROR)
        return None

    def steps(self, most: int = 40) -> list[tuple[float, int]]:
        """`(seconds, jobs)`: how many took at most so long and longer than the step before; at most `most` steps."""
        counts = self.counts
        some = [bucket for bucket, n in enumerate(counts) if n]
        if not some:
            return []
        first, last = some[0], some[-1]
        wide = math.ceil((last - first + 1) / most)
        starts = range(first, last + 1, wide)
        return [(reach(min(start + wide - 1, last)), sum(counts[start : start + wide])) for start in starts]

    @property
    def limit(self) -> timedelta | None:
        """How long a job of this kind may run; None while too few are known."""
        longest = self.longest_of(SHARE)
        if longest is None or self.jobs < ENOUGH:
            return None
        return max(LEAST, timedelta(seconds=math.ceil(TIMES * longest)))

    @property
    def usual(self) -> Usual | None:
        """How long its jobs usually take, in figures for people; None when none is known."""
        if not self.jobs:
            return None
        found = ((self.within(under.total_seconds()), under) for under in ROUND)
        quick, under = next(((n, under) for n, under in found if n >= MOST * self.jobs), (self.jobs, ROUND[-1]))
        return Usual(quick, self.jobs, under)


def recent(learned: Learned | None) -> Recent:
    """What a row has."""
    return Recent() if learned is None else Recent(learned.before, learned.latest)


def recent_of(kind: str) -> Recent:
    """What is known of this kind."""
    return recent(Learned.objects.filter(kind=kind).first())


def learn(rows: Iterable[tuple[str, int, int]]) -> None:
    """Add successes, `(kind, bucket of times.FINE, how many)`, and set the limits that follow, in one transaction."""
    new: dict[str, Counter[int]] = {}
    for kind, bucket, n in rows:
        new.setdefault(kind, Counter())[bucket] += n
    if not new:
        return
    there = Learned.objects.in_bulk(list(new))
    limits = dict(JobKind.objects.filter(name__in=new).values_list("name", "learned_run_within"))
    changed = []
    for kind, counts in sorted(new.items()):
        now_known = recent(there.get(kind)).and_then(dict(enumerate(FINE.regroup(counts, LEARNED))))
        usual = now_known.usual
        assert usual is not None  # noqa: S101 - there is one at least
        changed.append(
            Learned(
                kind_id=kind, before=list(now_known.before), latest=list(now_known.latest), jobs=usual.jobs,
                quick=usual.quick, under=usual.under, updated_at=Now(),
            )
        )  # fmt: skip
        # Seldom: the limit moves from bucket to bucket, and claims read this table.
        if now_known.limit != limits[kind]:
            JobKind.objects.filter(name=kind).update(learned_run_within=now_known.limit)
    fields = ["before", "latest", "jobs", "quick", "under", "updated_at"]
    Learned.objects.bulk_create(changed, update_conflicts=True, unique_fields=["kind"], update_fields=fields)
