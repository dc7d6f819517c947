"""The history as one log: what happened to jobs, and what people did, by job, bot, kind, person, verb, words and time.

An act on several jobs is one line, which the audit log has; those who may not see that see its events. Both are read
from the newest down, a bounded number of rows at a time; a period begins at an id that is found by halving.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery, Sum
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from bots.acts import Act
from bots.models import AuditEntry
from jobs import lifecycle
from jobs.lists.audit import about_job
from jobs.models import JobEvent
from jobs.states import Actor, Verb
from jobsite.lib import source
from jobsite.lib.clock import is_usable
from jobsite.lib.params import MAX_ID, number_in
from jobsite.lib.sql import Statements

SQL = Statements(Path(__file__).parent / "sql")
#: Lines on a page, and how many rows of each log one page looks through; fewer where it reads what bots wrote.
PAGE, SEARCHED, SEARCHED_WORDS = 50, 100_000, 20_000
#: What can be asked for, apart from the period.
TEXTS = ("job", "bot", "kind", "person", "verb", "actor", "words")
VERBS = {str(verb): verb.label for verb in (*Verb, *Act)}


@dataclass(frozen=True)
class HistoryFilter:
    """What is asked of the log. `before_event`, `before_entry`: the page begins below these ids."""

    job: str = ""
    bot: str = ""
    kind: str = ""
    person: str = ""
    verb: str = ""
    actor: str = ""
    words: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before_event: int = MAX_ID
    before_entry: int = MAX_ID
    notes: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> "HistoryFilter":
        """Read a query string. What cannot be used is left out, with a note."""
        texts: dict[str, Any] = {name: str(params.get(name) or "").replace("\0", "").strip()[:200] for name in TEXTS}
        notes = []
        if texts["job"] and not _number(texts["job"]):
            notes.append("Job: write its number.")
            texts["job"] = ""
        moments: dict[str, Any] = {}
        for name, of in (("since", "from"), ("until", "to")):
            moments[name] = _moment(str(params.get(of) or ""))
            if params.get(of) and moments[name] is None:
                notes.append(f"{of.capitalize()}: write a day or a time, such as 2026-11-05 or 2026-11-05T09:00.")
        befores: dict[str, Any] = {
            name: _number(str(params.get(name) or "")) or MAX_ID for name in ("before_event", "before_entry")
        }
        return cls(**texts, **moments, **befores, notes=tuple(notes))

    def params(self) -> dict[str, str]:
        """Its query string, without the page."""
        texts = {name: getattr(self, name) for name in TEXTS}
        period = {"from": self.since, "to": self.until}
        return {name: text for name, text in texts.items() if text} | {
            name: timezone.localtime(at).strftime("%Y-%m-%dT%H:%M:%S") for name, at in period.items() if at
        }

    # --- Events ---

    def events(self, *, with_acts: bool) -> QuerySet[JobEvent]:
        """The events that match; those of acts only `with_acts`."""
        found = Q() if with_acts else Q(audit=None)
        if self.job:
            found &= Q(job=_number(self.job))
        if self.bot:
            found &= Q(bot__name=self.bot)
        if self.kind:
            found &= Q(job__kind=self.kind)
        if self.person:
            found &= Q(actor=Actor.OPERATOR, by=self.person)
        if self.actor:
            found &= Q(actor=self.actor)
        if self.verb:
            found &= Q(verb=self.verb)
        if self.words:
            found &= Q(reason__icontains=self.words)
        return JobEvent.objects.filter(found).annotate(kind=F("job__kind")).select_related("bot").defer("detail")

    # --- Entries ---

    @property
    def by_event(self) -> bool:
        """Whether it asks for what only events know of each job."""
        return bool(self.bot or self.kind)

    def entries(self) -> QuerySet[AuditEntry]:
        """The acts that match."""
        found = Q()
        if self.job:
            found &= about_job(self.job)
        if self.bot:
            found &= Q(object_type="bot", object_name=self.bot)
        if self.kind:
            found &= Q(object_type="kind", object_id=self.kind)
        if self.person:
            found &= Q(by=self.person)
        if self.verb:
            found &= Q(verb=self.verb)
        if self.words:
            found &= Q(reason__icontains=self.words)
        if not self.job:
            # One line for an act in several steps: the first. About a job there is the step that changed it.
            found &= Q(act=None) | Q(~Exists(_same_act().filter(pk__lt=OuterRef("pk"))))
        return AuditEntry.objects.filter(found) if self.actor in ("", Actor.OPERATOR) else AuditEntry.objects.none()

    @cached_property
    def most(self) -> int:
        """How many rows a page looks through."""
        return SEARCHED_WORDS if self.words or self.kind else SEARCHED


@dataclass(frozen=True)
class Log:
    """A page: events and entries, the newest first. `older`: the filter of the page after it.

    `searched`: the page ends since so many rows were looked through, and there are more. `jobs_of_acts`: of entries of
    acts in several steps, by id, how many jobs the whole act was about.
    """

    lines: list[JobEvent | AuditEntry]
    older: HistoryFilter | None
    searched: int = 0
    jobs_of_acts: dict[int, int] = field(default_factory=dict)


def log(asked: HistoryFilter, *, sees_acts: bool) -> Log:
    """Return a page of the log."""
    events = _newest(asked.events(with_acts=not sees_acts or asked.by_event), asked, asked.before_event)
    entries = _newest(asked.entries(), asked, asked.before_entry) if sees_acts else Part([])
    # Where one of them was not searched further, nothing of the other is shown from before that.
    horizon = max((found.edge_at for found in (events, entries) if found.edge_at), default=None)
    both = [line for line in (*entries.rows, *events.rows) if horizon is None or line.at >= horizon]
    lines = sorted(both, key=lambda line: line.at, reverse=True)[:PAGE]
    below: dict[str, Any] = {"before_event": events.next_before(lines), "before_entry": entries.next_before(lines)}
    acts = {} if asked.job else _jobs_of_acts(lines)
    if set(below.values()) == {ENDED}:
        return Log(lines, None, 0, acts)
    return Log(lines, replace(asked, **below), 0 if len(lines) == PAGE else asked.most, acts)


def _same_act() -> QuerySet[AuditEntry]:
    """For a subquery: the entries of the same act."""
    return AuditEntry.objects.filter(act=OuterRef("act"), by=OuterRef("by"), verb=OuterRef("verb")).order_by()


def _jobs_of_acts(lines: list[JobEvent | AuditEntry]) -> dict[int, int]:
    ids = [line.pk for line in lines if isinstance(line, AuditEntry) and line.act is not None]
    if not ids:
        return {}
    of_act = _same_act().values("act").annotate(n=Sum(lifecycle.JOBS_OF_ENTRY)).values("n")
    return dict(AuditEntry.objects.filter(pk__in=ids).values_list("pk", Subquery(of_act)))


#: No id is below this.
ENDED = 1


@dataclass(frozen=True)
class Part:
    """The newest matching rows of one log, one more than a page has; and the first row that was not looked at."""

    rows: list[Any]
    edge: int = 0
    edge_at: datetime | None = None

    def next_before(self, shown: list[Any]) -> int:
        """Below which id the next page begins."""
        there = {id(line) for line in shown}
        rest = next((row.pk for row in self.rows if id(row) not in there), self.edge)
        return rest + 1 if rest else ENDED


def _newest(rows: QuerySet[Any], asked: HistoryFilter, before: int) -> Part:
    table, first, last = rows.model._meta.db_table, 0, before
    if asked.until is not None:
        last = min(last, first_id_since(table, asked.until))
    if asked.since is not None:
        first = first_id_since(table, asked.since)
    edge, edge_at = 0, None
    # The events of one job have an index.
    if not (asked.job and rows.model is JobEvent):
        below = rows.model._default_manager.filter(pk__lt=last, pk__gte=first).order_by("-pk")
        edge, edge_at = below.values_list("pk", "at")[asked.most : asked.most + 1].first() or (0, None)
    found = list(rows.filter(pk__lt=last, pk__gte=max(first, edge + 1)).order_by("-pk")[: PAGE + 1])
    return Part(found, 0, None) if len(found) > PAGE else Part(found, edge, edge_at)


def first_id_since(table: str, moment: datetime) -> int:
    """The id of the first row of a history that is not before a moment; above all ids where there is none."""
    with source.connection().cursor() as cursor:
        cursor.execute(SQL.text("first_id_since", table=table), {"moment": moment})
        return int(cursor.fetchone()[0])


def _number(text: str) -> int | None:
    return number_in(text.removeprefix("#")) or None


def _moment(text: str) -> datetime | None:
    """A day or a time, in the installation's zone unless it says otherwise."""
    try:
        at = parse_datetime(text)
        if at is None and (day := parse_date(text)) is not None:
            at = datetime(day.year, day.month, day.day)
        at = timezone.make_aware(at) if at is not None and timezone.is_naive(at) else at
    except (ValueError, OverflowError):
        return None
    return at if at is not None and is_usable(at) else None
