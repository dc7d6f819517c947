"""Tell a job's attempts one by one: who had it, for how long, how far it came, and what it ended with."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from jobs import fingerprints, transitions
from jobs.attempts import number
from jobs.models import Job, JobEvent
from jobs.states import Actor, JobStatus, Verb
from jobsite.lib.durations import words


@dataclass(frozen=True)
class Attempt:
    """One attempt. `ended`: how, and by whom; empty while it is held. `error` is whole, `line` its last line."""

    number: int
    look: str
    bot: str
    bot_id: int | None
    instance: str
    at: datetime | None
    took: str
    progress: int | None
    ended: str
    reason: str = ""
    error: str = ""
    late: bool = False

    @property
    def line(self) -> str:
        """The last line of the error, which says what went wrong."""
        return fingerprints.last_line(self.error)

    @property
    def has_more(self) -> bool:
        """Whether the error has more than its last line."""
        return self.error.strip() != self.line


def attempts(job: Job, events: Sequence[JobEvent]) -> list[Attempt]:
    """Return the attempts of a job, the last first. `events`: its history, in any order, with the bots."""
    late = {event.attempt for event in events if event.verb == Verb.LATE}
    ends = {event.attempt: event for event in events if event.verb in transitions.ENDING and event.bot_id}
    found = [(attempt, _ended(event, late=attempt in late)) for attempt, event in ends.items()]
    if job.claimed_by is not None:
        found.append((job.attempt, _held(job)))
    elif job.status == JobStatus.SUCCEEDED and job.attempt not in ends:
        found.append((job.attempt, _succeeded(job)))
    return [attempt for _, attempt in sorted(found, key=lambda pair: pair[0], reverse=True)]


def _ended(event: JobEvent, *, late: bool) -> Attempt:
    detail: dict[str, Any] = event.detail or {}
    row = next(row for row in transitions.rows(event.verb) if row.actor == event.actor)
    who = {Actor.OPERATOR: event.by or "a command", Actor.SWEEP: "the sweep"}.get(Actor(event.actor), "")
    error = str(detail.get("error") or (event.reason if event.verb == Verb.FAIL else ""))
    claimed = parse_datetime(str(detail.get("claimed_at") or ""))
    took, ended = words(event.at - claimed) if claimed else "", f"{row.past} by {who}" if who else row.past
    return Attempt(
        event.attempt_number, row.look, str(event.bot), event.bot_id, str(detail.get("instance") or ""), event.at,
        took, detail.get("progress"), ended, "" if event.reason == error else event.reason, error, late,
    )  # fmt: skip


def _held(job: Job) -> Attempt:
    took = words(timezone.now() - job.claimed_at) if job.claimed_at else ""
    return Attempt(
        number(job.attempt), "work", str(job.claimed_by), job.claimed_by_id, job.instance, job.claimed_at, took,
        job.progress, "", reason=job.progress_note,
    )  # fmt: skip


def _succeeded(job: Job) -> Attempt:
    took = words(job.finished_at - job.claimed_at) if job.finished_at and job.claimed_at else ""
    return Attempt(
        number(job.attempt), "good", str(job.finished_by or ""), job.finished_by_id, "", job.finished_at, took,
        job.progress, "completed",
    )  # fmt: skip
