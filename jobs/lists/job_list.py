"""List jobs by a filter, a page at a time, and count them, at a bounded cost.

Conditions without an index (a payload's field, an error's text, a word) are checked on a bounded number of jobs, and of
bytes; the page shows how far it searched and offers to search further. So no filter reads ten million rows
(docs/decisions/0015-admin.md).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from jobs.lists import index_merge
from jobs.lists.filters import VIEWS as VIEWS
from jobs.lists.filters import JobFilter as JobFilter
from jobs.lists.index_merge import Selection
from jobs.lists.rows import ORDERS, rows
from jobs.models import Job
from jobs.stats import counts as job_counts
from jobs.stats import statements
from jobs.stats.counts import Count
from jobsite.lib.params import MAX_ID
from jobsite.lib.planner import any_of
from jobsite.lib.sql import Statements

SQL = Statements(Path(__file__).parent / "sql")
#: Jobs on a page.
PAGE = 50
#: The most jobs of the base, and of their bytes as they are stored, that conditions without an index are checked on.
SEARCHED, SEARCHED_BYTES = 20_000, 20_000_000
#: The most jobs that the scheduled view shows, and that are put in another order than by id.
SOONEST, SORTED = 100, 1000
#: The newest jobs from which the kinds' shares are estimated.
SAMPLE = 5000
#: How many jobs are counted one by one before an action on all of them.
EXACT = 50_000


# --- A page ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    """The jobs of a page, and where adjacent pages begin.

    `searched_to`: the search ended at this id, after `searched` jobs. `next_skip`: where an ordered page goes on.
    `matches`: how many jobs match, where finding the page has counted them.
    """

    jobs: list[Job]
    newer: int | None = None
    older: int | None = None
    searched_to: int | None = None
    searched: int = 0
    next_skip: int | None = None
    note: str = ""
    matches: Count | None = None


def page(job_filter: JobFilter, counted: "ListCounts | None" = None) -> Page:
    """Return a page: newest first, or soonest first in the scheduled view, or in the order that is asked for.

    `counted`: the counts of the same list, which begin with the jobs of its first page.
    """
    if job_filter.order.lstrip("-") in ORDERS:
        return _ordered(job_filter)
    named = job_filter.named
    if named is not None:
        jobs = rows(job_filter.newest(PAGE + 1, before=job_filter.before))
        return Page(jobs[:PAGE], older=jobs[PAGE - 1].pk if len(jobs) > PAGE else None)
    if job_filter.view == "scheduled" and not (job_filter.kind or job_filter.text):
        soonest = statements.run("scheduled", steps=job_counts.PRIORITIES, most=SOONEST)
        found = {job.pk: job for job in rows([row["id"] for row in soonest])}
        note = f"The {SOONEST} soonest are shown." if len(soonest) == SOONEST else ""
        return Page([found[row["id"]] for row in soonest if row["id"] in found], note=note)
    if job_filter.after is not None:
        return _newer(job_filter, job_filter.after)
    looking = _Search.along(job_filter)
    ids, matches = looking.page(counted.newest if counted else ())
    searched_to = looking.ended_at
    older = ids[PAGE - 1] if len(ids) > PAGE else None
    jobs = rows([*ids[:PAGE], *_further_back(job_filter, ids[:PAGE])])
    first_id = ids[0] if ids else job_filter.before
    if older is not None:
        searched_to = None
    newer = first_id if job_filter.before else None
    return Page(jobs, newer, older, searched_to, looking.searched, matches=matches)


@dataclass(frozen=True)
class SearchResult:
    """What a search found, the newest first, and below which id the next page looks; None: it is at its end."""

    ids: list[int]
    goes_on_at: int | None


def search(job_filter: JobFilter, most: int) -> SearchResult:
    """Return the ids of the newest `most` matching jobs, as far as one page searches."""
    if job_filter.by_index is not None:
        ids = job_filter.newest(most + 1, before=job_filter.before)
        return SearchResult(ids[:most], ids[most - 1] if len(ids) > most else None)
    looking = _Search.along(job_filter)
    ids = looking.newest(most + 1)
    if len(ids) > most:
        return SearchResult(ids[:most], ids[most - 1])
    return SearchResult([*ids, *_further_back(job_filter, ids)], looking.ended_at)


@dataclass(frozen=True)
class _Search:
    """One look for jobs. `among`: those whose conditions without an index are checked; None: it has none of these.

    `ended_at`: the id at which it ends before the list does. `whole`: it begins with the newest job, and no limit but
    `SEARCHED` ends it; `more`: the list has jobs beyond that.
    """

    job_filter: JobFilter
    base: Selection
    among: Sequence[int] | None = None
    ended_at: int | None = None
    whole: bool = False
    more: bool = False

    @classmethod
    def along(cls, job_filter: JobFilter) -> "_Search":
        """Find how far this filter's search goes."""
        base = job_filter.base().between(before=job_filter.before)
        if not job_filter.narrow:
            return cls(job_filter, base)
        newest = index_merge.ids(base, SEARCHED + 1)
        ids = newest[:SEARCHED]
        ended = len(ids) < SEARCHED
        whole = job_filter.before is None
        if job_filter.reads_much and ids:
            (edge,) = SQL.rows("bytes_edge", ids=ids, most=SEARCHED_BYTES)
            whole = whole and edge["id"] <= ids[-1]
            ended = ended and edge["id"] <= ids[-1]
            ids = [pk for pk in ids if pk >= edge["id"]]
        return cls(job_filter, base, ids, None if ended else ids[-1], whole, len(newest) > SEARCHED)

    @property
    def searched(self) -> int:
        """How many jobs it checks one by one."""
        return len(self.among or ())

    def newest(self, most: int) -> list[int]:
        """The ids of the newest `most` that match."""
        if self.among is None:
            return index_merge.ids(self.base, most)
        found = self.job_filter.jobs().filter(any_of("pk", self.among)).order_by("-id")
        return list(found.values_list("pk", flat=True)[:most])

    def page(self, known: Sequence[int]) -> tuple[Sequence[int], Count | None]:
        """The ids of a page and one more, and how many match where that is known with them.

        `known`: the ids of the newest jobs of the list, if they are.
        """
        if self.among is None:
            return known[: PAGE + 1] or self.newest(PAGE + 1), None
        # All that match, and not the first: to find them takes longest, and a page says how many there are.
        found = self.newest(len(self.among))
        return found[: PAGE + 1], Count(len(found), at_least=self.more) if self.whole else None


def _further_back(job_filter: JobFilter, shown: Sequence[int]) -> list[int]:
    """What a word names and the search does not reach: shown on the first page."""
    if job_filter.before is not None or not job_filter.named_by_words:
        return []
    found = job_filter.jobs().filter(pk__in=set(job_filter.named_by_words) - set(shown))
    return list(found.order_by("-id").values_list("pk", flat=True)[:PAGE])


def _newer(job_filter: JobFilter, after: int) -> Page:
    base = job_filter.base().between(after=after)
    if job_filter.narrow:
        edge = index_merge.nth(base, SEARCHED, newest=False)
        base = base.between(before=None if edge is None else edge + 1).where(job_filter.rest())
    jobs = rows(index_merge.ids(base, PAGE + 1, newest=False))
    more = len(jobs) > PAGE
    jobs = jobs[-PAGE:]
    return Page(jobs, jobs[0].pk if more else None, jobs[-1].pk if jobs else after)


def _ordered(job_filter: JobFilter) -> Page:
    """A page of the newest `SORTED` matching jobs, in another order than by id."""
    if job_filter.named is not None:
        ids, searched_to, searched = job_filter.newest(SORTED), None, 0
    else:
        # The filter itself remembers what its words name, and is asked for that again.
        at_start = job_filter.before is job_filter.after is None
        whole = job_filter if at_start else replace(job_filter, before=None, after=None)
        looking = _Search.along(whole)
        searched_to, searched = looking.ended_at, looking.searched
        ids = sorted({*looking.newest(SORTED), *_further_back(whole, ())})
    jobs = rows(ids, order=job_filter.order, start=min(job_filter.skip, SORTED), most=PAGE + 1)
    note = f"Only the newest {SORTED:,} are sorted.".replace(",", "\u202f") if len(ids) >= SORTED else ""
    following = job_filter.skip + PAGE if len(jobs) > PAGE else None
    return Page(jobs[:PAGE], None, None, searched_to, searched, following, note)


# --- Counts ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ListCounts:
    """Job counts by view and status, and each kind's share of the view's newest jobs."""

    views: dict[str, Count]
    statuses: dict[str, Count]
    #: `(kind, count or share)`, the largest first.
    kinds: list[tuple[str, str]] = field(default_factory=list)
    #: How many jobs match, as far as known without reading them all.
    matching: Count = field(default_factory=lambda: Count(0))
    #: The ids of the newest jobs, of a list that is the whole view, from its beginning.
    newest: Sequence[int] = ()


def counts(job_filter: JobFilter) -> ListCounts:
    """Return the counts shown beside views and filters. Counts at most `job_counts.COUNTED` rows each."""
    statuses, _ = job_counts.by_status()
    stuck = Job.objects.stuck().order_by()[: job_counts.COUNTED + 1].count()
    soonest = statements.run("scheduled", steps=job_counts.PRIORITIES, most=SAMPLE)
    total = Count(0)
    for n in statuses.values():
        total += n
    views = {
        "stuck": job_counts.counted(stuck, 0),
        "held": statuses["claimed"] + statuses["processing"],
        "pending": statuses["pending"],
        "failed": statuses["failed"],
        "scheduled": Count(len(soonest), about=len(soonest) == SAMPLE),
        "all": job_counts.counted(job_counts.COUNTED + 1, total.n) if total.about else total,
    }
    of_view = replace(job_filter, kind="", text="")
    total_count = statuses[job_filter.status] if job_filter.status else views[job_filter.view]
    if job_filter.view == "scheduled":
        newest = [(row["id"], row["kind"]) for row in soonest]
    else:
        newest = index_merge.ids_and_kinds(of_view.base(), SAMPLE)
    shares = Counter(kind for _, kind in newest)
    sampled = len(newest) == SAMPLE
    kinds = [(kind, f"{n * 100 / SAMPLE:.0f} %" if sampled else str(n)) for kind, n in shares.most_common(100)]
    matching = total_count
    if job_filter.kind and sampled:
        matching = job_counts.counted(job_counts.COUNTED + 1, total_count.n * shares[job_filter.kind] // SAMPLE)
    elif job_filter.kind:
        matching = Count(shares[job_filter.kind])
    whole = of_view == job_filter and job_filter.before is job_filter.after is None
    return ListCounts(views, statuses, kinds, matching, [pk for pk, _ in newest] if whole else ())


def in_statuses(
    job_filter: JobFilter,
    statuses: Sequence[str],
    *,
    after: int | None = None,
    until: int = MAX_ID - 1,
    most: int = SAMPLE,
) -> list[int]:
    """Return ids of the list's jobs in these statuses, without its search.

    The newest first; with `after`, in ascending order from there.
    """
    base = job_filter.base(statuses)
    if after is None:
        return index_merge.ids(base, most)
    return index_merge.ids(base.between(after=after, before=until + 1), most, newest=False)


def count_to_process(
    job_filter: JobFilter, statuses: Sequence[str], *, after: int | None = None, until: int = MAX_ID - 1
) -> Count:
    """Count the jobs that an action on all matching goes through: those of the list in these statuses.

    Exact up to `EXACT`, else at least so many.
    """
    n = len(in_statuses(job_filter, statuses, after=after, until=until, most=EXACT + 1))
    return Count(min(n, EXACT), at_least=n > EXACT)


def matching(job_filter: JobFilter, statuses: Sequence[str]) -> Count:
    """Count the matching jobs in these statuses: exact up to `EXACT`, or as far as a page searches; else at least."""
    if job_filter.named is not None:
        return Count(job_filter.jobs().filter(status__in=statuses).count())
    if not job_filter.narrow:
        return count_to_process(job_filter, statuses)
    some = in_statuses(job_filter, statuses, most=SEARCHED + 1)
    found = job_filter.jobs().filter(any_of("pk", some[:SEARCHED])).order_by().count()
    return Count(found, at_least=len(some) > SEARCHED)
