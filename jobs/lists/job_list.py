"""List jobs by view, filters and search, a page at a time at a bounded cost.

Each filter has a base that indexes have in the order of ids (`jobs.lists.index_merge`). Conditions without an index (a
payload's field, an error's text) are checked on a bounded number of jobs of the base; the page shows how far it
searched and offers to search further. So no filter reads ten million rows (docs/decisions/0015-admin.md).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from django.db.models import Q
from django.db.models.functions import Now

from bots.models import Bot
from jobs.lists import index_merge
from jobs.lists.index_merge import MOST_ID, Selection
from jobs.lists.search import has_value, parse
from jobs.models import Job, JobKind, JobQuerySet
from jobs.states import HELD, JobStatus
from jobs.stats import counts as job_counts
from jobs.stats import statements
from jobs.stats.counts import Count
from jobsite.lib.planner import any_of

#: The saved views in display order: `{name: (title, text if empty)}`.
VIEWS = {
    "stuck": ("Stuck", "No job is stuck: every bot that holds a job is within its limits."),
    "held": ("Held", "No bot holds a job now."),
    "pending": (
        "Pending",
        "No job is pending. Producers enqueue through the API; you can also add a job or upload a file.",
    ),
    "failed": ("Failed", "No job has failed. Failed jobs stay here for a retry until their kind's retention ends."),
    "scheduled": ("Scheduled", "No job waits for a later time."),
    "all": ("All", "There are no jobs yet. Add one by hand, upload a file, or let a producer call the API."),
}
#: Jobs on a page.
PAGE = 50
#: The most jobs of the base that conditions without an index are checked on.
SEARCHED = 20_000
#: The most jobs that the scheduled view shows.
SOONEST = 100
#: The most jobs matched by one key or bot's name, and the most such words in a search.
JOBS_PER_WORD, WORDS_PER_SEARCH = 500, 3
#: The newest jobs from which the kinds' shares are estimated.
SAMPLE = 5000
#: How many jobs are counted one by one before an action on all of them.
EXACT = 50_000


@dataclass(frozen=True)
class JobFilter:
    """The filter of a job list, as in the page's query string."""

    view: str = "all"
    status: str = ""
    kind: str = ""
    text: str = ""
    before: int | None = None
    after: int | None = None

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> "JobFilter":
        """Read a query string. Invalid values are ignored."""
        view = params.get("view") or "all"
        return cls(
            view=view if view in VIEWS else "all",
            status=params.get("status") if params.get("status") in JobStatus.values else "",  # type: ignore[arg-type]
            kind=str(params.get("kind") or "").replace("\0", ""),
            text=str(params.get("q") or "").replace("\0", "")[:500],
            before=_number(params.get("before")),
            after=_number(params.get("after")),
        )

    def base(self, among: Sequence[str] = JobStatus.values) -> Selection:
        """The jobs of the view, status and kind, limited to these statuses: what indexes find."""
        kinds = [self.kind] if self.kind else []
        return index_merge.select(self._jobs(), statuses=self.statuses(among), kinds=kinds)

    def _jobs(self) -> JobQuerySet:
        return Job.objects.stuck() if self.view == "stuck" else Job.objects.all()

    def statuses(self, among: Sequence[str] = JobStatus.values) -> list[str]:
        """Those of these statuses that this list can contain."""
        views: dict[str, Sequence[str]] = {"stuck": HELD, "held": HELD, "failed": (JobStatus.FAILED,)}
        views |= {"pending": (JobStatus.PENDING,), "scheduled": (JobStatus.PENDING,)}
        able = views.get(self.view, JobStatus.values)
        return [str(status) for status in among if status in able and (not self.status or status == self.status)]

    def rest(self) -> Q:
        """The conditions without an index, checked on a bounded number of the base."""
        found = Q(run_at__gt=Now()) if self.view == "scheduled" else Q()
        terms = parse(self.text)
        for path, value in terms.payload:
            found &= has_value(path, value)
        for error in terms.error:
            found &= Q(error__icontains=error)
        for group in terms.groups:
            found &= Q(group_name=group)
        return found

    @cached_property
    def named(self) -> list[int] | None:
        """The ids of jobs that the search names by number, key or bot; None if it names none."""
        terms = parse(self.text)
        if not (terms.ids or terms.keys or terms.bots):
            return None
        ids = set(terms.ids)
        if words := [*terms.keys, *(str(i) for i in terms.ids)]:
            # The indexes on keys begin with the kind.
            ids |= set(Job.objects.with_keys(JobKind.objects.order_by().values("name"), words)[:JOBS_PER_WORD])
        for name in (*terms.keys, *terms.bots)[:WORDS_PER_SEARCH]:
            ids |= set(_of_bot(name))
        return sorted(ids)

    def jobs(self) -> JobQuerySet:
        """All matching jobs, unordered and unbounded. Restrict them by id."""
        jobs, statuses = self._jobs().filter(self.rest()), self.statuses()
        if len(statuses) < len(JobStatus):
            jobs = jobs.filter(status__in=statuses)
        if self.kind:
            jobs = jobs.filter(kind=self.kind)
        named = self.named
        return jobs if named is None else jobs.filter(pk__in=named)

    def newest(self, most: int, *, before: int | None = None) -> list[int]:
        """Ids of the newest `most` matching jobs, however far the search must go."""
        if self.named is not None:
            jobs = self.jobs() if before is None else self.jobs().filter(pk__lt=before)
            return list(jobs.order_by("-id").values_list("pk", flat=True)[:most])
        return index_merge.ids(self.base().between(before=before).where(self.rest()), most)

    @property
    def narrow(self) -> bool:
        """Whether it has conditions without an index."""
        terms = parse(self.text)
        return terms.reads_payloads or bool(terms.groups) or self.view == "scheduled"


def _number(value: Any) -> int | None:
    text = str(value or "")
    return min(int(text), MOST_ID) if text.isascii() and text.isdigit() and len(text) <= 19 else None


def _of_bot(name: str) -> list[int]:
    """The ids of the jobs this bot holds, and of the last it finished."""
    bot = Bot.objects.filter(name=name).values("pk")[:1]
    held = Job.objects.held().filter(claimed_by=bot).order_by().values_list("pk", flat=True)[:JOBS_PER_WORD]
    done = Job.objects.filter(finished_by=bot).order_by("-id").values_list("pk", flat=True)[:JOBS_PER_WORD]
    return list(held.union(done, all=True))


# --- A page ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    """The jobs of a page, and where adjacent pages begin. `searched_to`: the search ended at this id."""

    jobs: list[Job]
    newer: int | None = None
    older: int | None = None
    searched_to: int | None = None
    note: str = ""


def page(job_filter: JobFilter) -> Page:
    """Return a page: newest first, or soonest first in the scheduled view."""
    named = job_filter.named
    if named is not None:
        jobs = _rows(job_filter.newest(PAGE + 1, before=job_filter.before))
        return Page(jobs[:PAGE], older=jobs[PAGE - 1].pk if len(jobs) > PAGE else None)
    if job_filter.view == "scheduled" and not (job_filter.kind or job_filter.text):
        soonest = statements.run("scheduled", steps=job_counts.PRIORITIES, most=SOONEST)
        rows = {job.pk: job for job in _rows([row["id"] for row in soonest])}
        note = f"The {SOONEST} soonest are shown." if len(soonest) == SOONEST else ""
        return Page([rows[row["id"]] for row in soonest if row["id"] in rows], note=note)
    if job_filter.after is not None:
        return _newer(job_filter, job_filter.after)
    base = job_filter.base().between(before=job_filter.before)
    searched_to = None
    if job_filter.narrow:
        searched_to = index_merge.nth(base, SEARCHED) or 0
        base = base.between(after=searched_to - 1).where(job_filter.rest())
    jobs = _rows(index_merge.ids(base, PAGE + 1))
    older = jobs[PAGE - 1].pk if len(jobs) > PAGE else None
    first_id = jobs[0].pk if jobs else job_filter.before
    ended = older is not None or not searched_to
    return Page(jobs[:PAGE], first_id if job_filter.before else None, older, None if ended else searched_to)


def _newer(job_filter: JobFilter, after: int) -> Page:
    base = job_filter.base().between(after=after)
    if job_filter.narrow:
        edge = index_merge.nth(base, SEARCHED, newest=False)
        base = base.between(before=None if edge is None else edge + 1).where(job_filter.rest())
    jobs = _rows(index_merge.ids(base, PAGE + 1, newest=False))
    more = len(jobs) > PAGE
    jobs = jobs[-PAGE:]
    return Page(jobs, jobs[0].pk if more else None, jobs[-1].pk if jobs else after)


def _rows(ids: Iterable[int]) -> list[Job]:
    # Defer payloads: they may have megabytes, and the list does not show them.
    jobs = Job.objects.filter(pk__in=list(ids)).order_by("-id")
    return list(jobs.select_related("claimed_by").defer("payload", "result"))


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
        newest = [row["kind"] for row in soonest]
    else:
        newest = index_merge.kinds(of_view.base(), SAMPLE)
    shares = Counter(newest)
    sampled = len(newest) == SAMPLE
    kinds = [(kind, f"{n * 100 / SAMPLE:.0f} %" if sampled else str(n)) for kind, n in shares.most_common(100)]
    matching = total_count
    if job_filter.kind and sampled:
        matching = job_counts.counted(job_counts.COUNTED + 1, total_count.n * shares[job_filter.kind] // SAMPLE)
    elif job_filter.kind:
        matching = Count(shares[job_filter.kind])
    return ListCounts(views, statuses, kinds, matching)


def in_statuses(
    job_filter: JobFilter,
    statuses: Sequence[str],
    *,
    after: int | None = None,
    until: int = MOST_ID - 1,
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
    job_filter: JobFilter, statuses: Sequence[str], *, after: int | None = None, until: int = MOST_ID - 1
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
