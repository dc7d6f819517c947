"""A list of jobs as a question: a view, filters and a search, answered a page at a time at a bounded cost.

Each question has a base that indexes give in the order of ids (`jobs.lists.index_merge`). What no index knows (a
payload's field, an error's text) is looked for among so many jobs of the base and no further; the page says how
far it looked and offers to look on. So no question reads ten million rows (docs/decisions/0015-admin.md).
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
from jobs.lists.search import has_value, parse
from jobs.models import Job, JobKind, JobQuerySet
from jobs.states import HELD, JobStatus
from jobs.stats import counts as job_counts
from jobs.stats import statements
from jobs.stats.counts import Count

#: The saved views, in the order in which they are shown, with what each says when it is empty.
VIEWS = {
    "stuck": ("Stuck", "Nothing is stuck: every bot that holds a job is within its limits."),
    "held": ("Held", "No bot holds a job just now."),
    "pending": (
        "Pending",
        "Nothing waits. Producers enqueue through the API; you can also add a job or upload a file.",
    ),
    "failed": ("Failed", "No job has failed. Failed jobs wait here for a retry until their kind's retention ends."),
    "scheduled": ("Scheduled", "No job waits for a later time."),
    "all": ("All", "There are no jobs yet. Add one by hand, upload a file, or let a producer call the API."),
}
#: How many jobs a page shows.
PAGE = 50
#: How many jobs of the base are looked through for what no index knows.
SEARCHED = 20_000
#: How many of the soonest scheduled jobs the view shows.
SOONEST = 100
#: How many jobs a key or a bot's name stands for at most, and how many such words a search takes.
NAMED, WORDS = 500, 3
#: How many of the newest jobs the kinds' shares are taken from.
SAMPLE = 5000
MOST_ID = 2**63 - 1


@dataclass(frozen=True)
class Question:
    """What a list is asked for, as it stands in the page's address."""

    view: str = "all"
    status: str = ""
    kind: str = ""
    text: str = ""
    before: int | None = None
    after: int | None = None

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> "Question":
        """From a query string. What makes no sense is left out."""
        view = params.get("view") or "all"
        return cls(
            view=view if view in VIEWS else "all",
            status=params.get("status") if params.get("status") in JobStatus.values else "",  # type: ignore[arg-type]
            kind=str(params.get("kind") or "").replace("\0", ""),
            text=str(params.get("q") or "").replace("\0", "")[:500],
            before=_number(params.get("before")),
            after=_number(params.get("after")),
        )

    def base(self, among: Sequence[str] = JobStatus.values) -> list[JobQuerySet]:
        """The jobs of the view, status and kind, where they are in these statuses: as stretches, in order."""
        return index_merge.of(self._jobs(), statuses=self.statuses(among), kind=self.kind)

    def _jobs(self) -> JobQuerySet:
        return Job.objects.stuck() if self.view == "stuck" else Job.objects.all()

    def statuses(self, among: Sequence[str] = JobStatus.values) -> list[str]:
        """Those of these statuses in which the jobs of this list can be."""
        views: dict[str, Sequence[str]] = {"stuck": HELD, "held": HELD, "failed": (JobStatus.FAILED,)}
        views |= {"pending": (JobStatus.PENDING,), "scheduled": (JobStatus.PENDING,)}
        able = views.get(self.view, JobStatus.values)
        return [str(status) for status in among if status in able and (not self.status or status == self.status)]

    def rest(self) -> Q:
        """What no index gives in order: looked for among a bounded number of the base."""
        found = Q(run_at__gt=Now()) if self.view == "scheduled" else Q()
        terms = parse(self.text)
        for path, value in terms.payload:
            found &= has_value(path, value)
        for error in terms.error:
            found &= Q(error__icontains=error)
        return found

    @cached_property
    def named(self) -> list[int] | None:
        """The ids of the jobs that the search names by number, key or bot; None when it names none."""
        terms = parse(self.text)
        if not (terms.ids or terms.keys or terms.bots):
            return None
        found = set(terms.ids)
        if words := [*terms.keys, *(str(i) for i in terms.ids)]:
            # The index of keys begins with the kind.
            keyed = Job.objects.filter(kind__in=JobKind.objects.order_by().values("name"), key__in=words)
            found |= set(keyed.values_list("pk", flat=True)[:NAMED])
        for name in (*terms.keys, *terms.bots)[:WORDS]:
            found |= set(_of_bot(name))
        return sorted(found)

    def jobs(self) -> JobQuerySet:
        """All jobs that match, however many and in no order: to look for some of them by their ids."""
        jobs, statuses = self._jobs().filter(self.rest()), self.statuses()
        if len(statuses) < len(JobStatus):
            jobs = jobs.filter(status__in=statuses)
        if self.kind:
            jobs = jobs.filter(kind=self.kind)
        named = self.named
        return jobs if named is None else jobs.filter(pk__in=named)

    def newest(self, most: int, *, before: int | None = None) -> list[int]:
        """Ids of the newest so many that match, however far they must be looked for."""
        if self.named is not None:
            return list(_before(self.jobs(), before).order_by("-id").values_list("pk", flat=True)[:most])
        return index_merge.ids([_before(part, before).filter(self.rest()) for part in self.base()], most)

    @property
    def narrow(self) -> bool:
        """Whether it asks for anything beyond its base."""
        terms = parse(self.text)
        return bool(terms.payload or terms.error or self.view == "scheduled")


def _number(value: Any) -> int | None:
    text = str(value or "")
    return min(int(text), MOST_ID) if text.isascii() and text.isdigit() and len(text) <= 19 else None


def _of_bot(name: str) -> list[int]:
    """What the bot of this name holds, and the last it finished."""
    bot = Bot.objects.filter(name=name).values("pk")[:1]
    held = Job.objects.held().filter(claimed_by=bot).order_by().values_list("pk", flat=True)[:NAMED]
    done = Job.objects.filter(finished_by=bot).order_by("-id").values_list("pk", flat=True)[:NAMED]
    return list(held.union(done, all=True))


# --- A page ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    """The jobs of one page, and where the pages beside it begin. `looked_to`: it was not looked beyond this id."""

    jobs: list[Job]
    newer: int | None = None
    older: int | None = None
    looked_to: int | None = None
    note: str = ""


def page(question: Question) -> Page:
    """The answer to a question: newest first, except for what is scheduled, which is soonest first."""
    named = question.named
    if named is not None:
        jobs = _rows(question.newest(PAGE + 1, before=question.before))
        return Page(jobs[:PAGE], older=jobs[PAGE - 1].pk if len(jobs) > PAGE else None)
    if question.view == "scheduled" and not (question.kind or question.text):
        soonest = statements.run("scheduled", steps=job_counts.PRIORITIES, most=SOONEST)
        rows = {job.pk: job for job in _rows([row["id"] for row in soonest])}
        note = f"The {SOONEST} soonest are shown." if len(soonest) == SOONEST else ""
        return Page([rows[row["id"]] for row in soonest if row["id"] in rows], note=note)
    if question.after is not None:
        return _newer(question, question.after)
    parts = [_before(part, question.before) for part in question.base()]
    looked_to = None
    if question.narrow:
        looked_to = index_merge.nth(parts, SEARCHED) or 0
        parts = [part.filter(question.rest(), pk__gte=looked_to) for part in parts]
    jobs = _rows(index_merge.ids(parts, PAGE + 1))
    older = jobs[PAGE - 1].pk if len(jobs) > PAGE else None
    first_id = jobs[0].pk if jobs else question.before
    ended = older is not None or not looked_to
    return Page(jobs[:PAGE], first_id if question.before else None, older, None if ended else looked_to)


def _before(jobs: JobQuerySet, before: int | None) -> JobQuerySet:
    return jobs if before is None else jobs.filter(pk__lt=before)


def _newer(question: Question, after: int) -> Page:
    parts = [part.filter(pk__gt=after) for part in question.base()]
    if question.narrow:
        edge = index_merge.nth(parts, SEARCHED, newest=False) or MOST_ID
        parts = [part.filter(question.rest(), pk__lte=edge) for part in parts]
    jobs = _rows(index_merge.ids(parts, PAGE + 1, newest=False))
    more = len(jobs) > PAGE
    jobs = jobs[-PAGE:]
    return Page(jobs, jobs[0].pk if more else None, jobs[-1].pk if jobs else after)


def _rows(found: Iterable[int]) -> list[Job]:
    # A payload may have megabytes, and no row shows it.
    jobs = Job.objects.filter(pk__in=list(found)).order_by("-id")
    return list(jobs.select_related("claimed_by").defer("payload", "result"))


# --- How many -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Counts:
    """How many jobs are in each view and status, and what share of this view's newest each kind has."""

    views: dict[str, Count]
    statuses: dict[str, Count]
    #: `(kind, how many or what share)`, the most first.
    kinds: list[tuple[str, str]] = field(default_factory=list)
    #: How many match the question, as far as that is known without looking at them all.
    matching: Count = field(default_factory=lambda: Count(0))


def counts(question: Question) -> Counts:
    """The figures beside the views and filters. Nothing is counted further than `job_counts.COUNTED`."""
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
    of_view = replace(question, kind="", text="")
    whole = statuses[question.status] if question.status else views[question.view]
    if question.view == "scheduled":
        newest = [row["kind"] for row in soonest]
    else:
        newest = index_merge.kinds(of_view.base(), SAMPLE)
    shares = Counter(newest)
    sampled = len(newest) == SAMPLE
    kinds = [(kind, f"{n * 100 / SAMPLE:.0f} %" if sampled else str(n)) for kind, n in shares.most_common(100)]
    matching = whole
    if question.kind and sampled:
        matching = job_counts.counted(job_counts.COUNTED + 1, whole.n * shares[question.kind] // SAMPLE)
    elif question.kind:
        matching = Count(shares[question.kind])
    return Counts(views, statuses, kinds, matching)


def in_statuses(
    question: Question, statuses: Sequence[str], *, after: int | None = None, until: int = MOST_ID, most: int = SAMPLE
) -> list[int]:
    """Ids of the list's jobs that are in these statuses, before its search is asked for.

    The newest first; or, with `after`, from there on upwards.
    """
    parts = question.base(statuses)
    if after is None:
        return index_merge.ids(parts, most)
    return index_merge.ids([part.filter(pk__gt=after, pk__lte=until) for part in parts], most, newest=False)


def to_walk(question: Question, statuses: Sequence[str]) -> Count:
    """How many jobs a walk through all that match looks at: those of the list in these statuses."""
    many = len(in_statuses(question, statuses))
    if many < SAMPLE:
        return Count(many)
    by_status, _ = job_counts.by_status()
    whole = sum((by_status[status] for status in question.statuses(statuses)), Count(0))
    if not question.kind:
        return whole
    kinds = index_merge.kinds(replace(question, kind="").base(statuses), SAMPLE)
    return job_counts.counted(job_counts.COUNTED + 1, whole.n * kinds.count(question.kind) // SAMPLE)


def matching(question: Question, statuses: Sequence[str]) -> Count:
    """How many of those that match are in one of these statuses: exact while they are few, else about."""
    if question.named is not None:
        return Count(question.jobs().filter(status__in=statuses).count())
    some = in_statuses(question, statuses)
    found = question.jobs().filter(pk__in=some).count() if question.narrow else len(some)
    if len(some) < SAMPLE:
        return Count(found)
    return job_counts.counted(job_counts.COUNTED + 1, to_walk(question, statuses).n * found // SAMPLE)
