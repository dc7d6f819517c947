"""The filter of a list of jobs: a view, a status, a kind and a search. Search, API and bulk acts use the same.

Each filter has a base that indexes have in the order of ids (`jobs.lists.index_merge`). Numbers, keys, and the names of
kinds and bots are found at any age; other conditions have no index, and are checked on a bounded part of the base.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from django.db.models import Q, TextField, Value
from django.db.models.functions import Cast, Now
from django.db.models.lookups import IContains

from bots.models import Bot
from jobs.error_groups import acts
from jobs.lists import index_merge
from jobs.lists.index_merge import Selection
from jobs.lists.search import Terms, has_value, parse
from jobs.models import ErrorGroup, Job, JobKind, JobQuerySet
from jobs.states import HELD, JobStatus
from jobsite.lib.params import number_in

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
#: The most jobs found by one key, bot's or kind's name, and the most such words in a search.
JOBS_PER_WORD, WORDS_PER_SEARCH = 500, 3
#: The longest search.
TEXT_LENGTH = 500


@dataclass(frozen=True)
class JobFilter:
    """The filter of a job list, as in the page's query string. `order` and `skip`: see `jobs.lists.job_list.ordered`.

    `sees_payloads`: whether words are looked for in what jobs carry. The last nine are what the API and commands name:
    of each that is not empty a job has one of the values; `contains` is what its payload contains, as JSON, and
    `holders` are bots that hold it.
    """

    view: str = "all"
    status: str = ""
    kind: str = ""
    text: str = ""
    before: int | None = None
    after: int | None = None
    order: str = ""
    skip: int = 0
    sees_payloads: bool = True
    ids: tuple[int, ...] = ()
    among: tuple[str, ...] = ()
    in_statuses: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    contains: Mapping[str, Any] = field(default_factory=dict)
    created_before: datetime | None = None
    finished_before: datetime | None = None
    holders: tuple[int, ...] = ()

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> "JobFilter":
        """Read a query string. Invalid values are ignored."""
        view = params.get("view") or "all"
        return cls(
            view=view if view in VIEWS else "all",
            status=params.get("status") if params.get("status") in JobStatus.values else "",  # type: ignore[arg-type]
            kind=str(params.get("kind") or "").replace("\0", ""),
            text=str(params.get("q") or "").replace("\0", "")[:TEXT_LENGTH],
            before=_number(params.get("before")),
            after=_number(params.get("after")),
            order=str(params.get("order") or ""),
            skip=_number(params.get("skip")) or 0,
        )

    @cached_property
    def terms(self) -> Terms:
        """What the search asks for."""
        return parse(self.text)

    # --- What indexes find ---

    def base(self, among: Sequence[str] = JobStatus.values) -> Selection:
        """The jobs of the view, status and kind, limited to these statuses: what indexes find."""
        statuses = [] if self.kinds == [] else self.statuses(among)
        selection = index_merge.select(self._jobs(), statuses=statuses, kinds=self.kinds or ())
        return selection.in_own_order() if self.terms.error_group else selection

    def _jobs(self) -> JobQuerySet:
        jobs = Job.objects.stuck() if self.view == "stuck" else Job.objects.all()
        jobs = jobs.filter(claimed_by__in=self.holders) if self.holders else jobs
        return acts.failed(self._groups, jobs) if self.terms.error_group else jobs

    @cached_property
    def _groups(self) -> list[ErrorGroup]:
        return list(ErrorGroup.objects.filter(pk__in=self.terms.error_group)[:WORDS_PER_SEARCH])

    @property
    def kinds(self) -> list[str] | None:
        """The kinds that it is about; None: any."""
        named = [set(names) for names in (self.terms.kind, [self.kind] if self.kind else [], self.among) if names]
        return sorted(set.intersection(*named)) if named else None

    def statuses(self, among: Sequence[str] = JobStatus.values) -> list[str]:
        """Those of these statuses that this list can contain."""
        views: dict[str, Sequence[str]] = {"stuck": HELD, "held": HELD, "failed": (JobStatus.FAILED,)}
        views |= {"pending": (JobStatus.PENDING,), "scheduled": (JobStatus.PENDING,)}
        able = set(views.get(self.view, JobStatus.values))
        for wanted in ([self.status] if self.status else [], self.terms.status, self.in_statuses):
            able &= set(wanted or JobStatus.values)
        if self.terms.error_group:
            able &= {JobStatus.FAILED}
        if self.holders:
            able &= set(HELD)
        return [str(status) for status in among if status in able]

    # --- What is checked on a part of that ---

    def rest(self) -> Q:
        """The conditions without an index, checked on a bounded number of the base."""
        found = self._exact()
        if self.view == "scheduled":
            found &= Q(run_at__gt=Now())
        for path, value in self.terms.payload:
            found &= has_value(path, value)
        for error in self.terms.error:
            found &= Q(error__icontains=error)
        for group in self.terms.group:
            found &= Q(group_name=group)
        for schedule in self.terms.schedule:
            found &= Q(schedule=schedule)
        for word in self.terms.words:
            found &= Q(pk__in=self._named_by.get(word, ())) | self._holds(word)
        return found

    def _exact(self) -> Q:
        """What the API and commands name, but for kinds and statuses."""
        wanted = {
            "pk__in": self.ids, "key__in": self.keys, "group_name__in": self.groups, "payload__contains": self.contains,
            "created_at__lt": self.created_before, "finished_at__lt": self.finished_before,
        }  # fmt: skip
        return Q(**{lookup: value for lookup, value in wanted.items() if value})

    def _holds(self, word: str) -> Q:
        """Match jobs that have this word in their key, or in what they carry."""
        found = Q(key__icontains=word)
        if self.sees_payloads:
            # As JSON writes it.
            written = json.dumps(word, ensure_ascii=False)[1:-1]
            found |= Q(error__icontains=word) | Q(IContains(Cast("payload", TextField()), Value(written)))
        return found | Q(kind=word)

    @property
    def narrow(self) -> bool:
        """Whether it has conditions without an index."""
        terms = self.terms
        unindexed = (terms.payload, terms.error, terms.group, terms.schedule, terms.words)
        return any(unindexed) or self.view == "scheduled" or bool(self._exact())

    @property
    def is_empty(self) -> bool:
        """Whether it has no condition: all jobs match."""
        return self == JobFilter()

    @property
    def reads_much(self) -> bool:
        """Whether it reads what jobs carry, which may be large."""
        terms = self.terms
        return bool(self.contains or terms.payload or terms.error or (terms.words and self.sees_payloads))

    # --- What is named ---

    @cached_property
    def named(self) -> list[int] | None:
        """The ids of jobs that the search names by number, `key:` or `bot:`; None if it names none."""
        terms = self.terms
        if not (terms.ids or terms.key or terms.bot):
            return None
        ids = set(terms.ids)
        if words := [*terms.key, *(str(i) for i in terms.ids)]:
            # The indexes on keys begin with the kind.
            ids |= set(Job.objects.with_keys(JobKind.objects.order_by().values("name"), words)[:JOBS_PER_WORD])
        for name in terms.bot[:WORDS_PER_SEARCH]:
            ids |= set(_of_bot(name))
        return sorted(ids)

    @cached_property
    def _named_by(self) -> dict[str, list[int]]:
        """The ids of jobs, at any age, that have a word as their key, or the name of their kind or bot."""
        words = self.terms.words[:WORDS_PER_SEARCH]
        if not words:
            return {}
        found: dict[str, list[int]] = {word: [] for word in words}
        keyed = list(Job.objects.with_keys(JobKind.objects.order_by().values("name"), words)[:JOBS_PER_WORD])
        for pk, key in Job.objects.filter(pk__in=keyed).values_list("pk", "key") if keyed else ():
            found[str(key)].append(pk)
        names = [
            rows.filter(name__in=words).order_by().values_list("name", Value(of)) for rows, of in
            ((JobKind.objects.all(), "kind"), (Bot.objects.all(), "bot"))
        ]  # fmt: skip
        for name, of in names[0].union(names[1], all=True):
            of_kind = index_merge.select(kinds=[name])
            found[name] += index_merge.ids(of_kind, JOBS_PER_WORD) if of == "kind" else _of_bot(name)
        return found

    @property
    def named_by_words(self) -> list[int]:
        """The ids of jobs that are named by one of the words, wherever they are."""
        return sorted({pk for ids in self._named_by.values() for pk in ids})

    @cached_property
    def by_index(self) -> JobQuerySet | None:
        """All matching jobs where they are named by number, key, group or bot; None: they are not."""
        if self.named is None and not (self.ids or self.keys or self.groups):
            return None
        if not self.keys:
            return self.jobs()
        # The indexes on keys begin with the kind.
        kinds = self.among or JobKind.objects.order_by().values("name")
        return replace(self, keys=()).jobs().filter(pk__in=list(Job.objects.with_keys(kinds, self.keys)))

    # --- All that match ---

    def jobs(self) -> JobQuerySet:
        """All matching jobs, unordered and unbounded. Restrict them by id."""
        jobs, statuses = self._jobs().filter(self.rest()), self.statuses()
        if len(statuses) < len(JobStatus):
            jobs = jobs.filter(status__in=statuses)
        if self.kinds is not None:
            jobs = jobs.filter(kind__in=self.kinds)
        named = self.named
        return jobs if named is None else jobs.filter(pk__in=named)

    def newest(self, most: int, *, before: int | None = None) -> list[int]:
        """Ids of the newest `most` matching jobs, however far the search must go."""
        if (named := self.by_index) is not None:
            jobs = named if before is None else named.filter(pk__lt=before)
            return list(jobs.order_by("-id").values_list("pk", flat=True)[:most])
        return index_merge.ids(self.base().between(before=before).where(self.rest()), most)


def _number(value: Any) -> int | None:
    return number_in(str(value or ""))


def _of_bot(name: str) -> list[int]:
    """The ids of the jobs this bot holds, and of the last it finished."""
    bot = Bot.objects.filter(name=name).values("pk")[:1]
    held = Job.objects.held().filter(claimed_by=bot).order_by().values_list("pk", flat=True)[:JOBS_PER_WORD]
    done = Job.objects.filter(finished_by=bot).order_by("-id").values_list("pk", flat=True)[:JOBS_PER_WORD]
    return list(held.union(done, all=True))
