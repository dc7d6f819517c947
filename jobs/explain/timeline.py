"""Build the timeline of a job from its history."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from jobs import transitions
from jobs.models import Job, JobEvent
from jobs.states import Actor, JobStatus, Verb
from jobsite.lib.durations import words


@dataclass(frozen=True)
class Step:
    """One entry of the timeline."""

    at: datetime | None
    look: str
    title: str
    text: str = ""
    bot_id: int | None = None
    bot: str = ""


def timeline(job: Job, events: Iterable[JobEvent]) -> list[Step]:
    """Return the steps from enqueue to now: attempts, bots, last heartbeats, ends, and late results."""
    by = f"enqueued by schedule {job.schedule}" if job.schedule else "enqueued"
    steps = [Step(job.created_at, "wait", by, f"priority {job.priority}" if job.priority else "")]
    shown_attempts: set[int] = set()
    for event in events:
        if event.verb in transitions.ENDING and event.attempt not in shown_attempts:
            steps.extend(_attempt(event))
            shown_attempts.add(event.attempt)
        steps.append(_event(event))
    if job.claimed_by is not None:
        steps.extend(_lease(job))
    elif job.status == JobStatus.SUCCEEDED and job.attempt not in shown_attempts:
        bot = str(job.finished_by or "a bot")
        if job.claimed_at:
            waited = words(max(job.claimed_at - job.due_since, timedelta(0)))
            text = f"attempt {job.attempt_number}, after {waited}"
            steps.append(Step(job.claimed_at, "work", f"claimed by {bot}", text))
        ran = f"ran for {words(job.finished_at - job.started_at)}" if job.started_at and job.finished_at else ""
        steps.append(Step(job.finished_at, "good", f"completed by {bot}", ran, job.finished_by_id, bot))
    # A claim is known only from the lease or the event that ended it. Sort it to its place in time.
    return sorted(steps, key=lambda step: step.at or timezone.now())


def _attempt(event: JobEvent) -> list[Step]:
    """The steps of an attempt's beginning, from the event that ended it."""
    detail: dict[str, Any] = event.detail or {}
    claimed, heard = (_moment(detail.get(name)) for name in ("claimed_at", "heartbeat_at"))
    if claimed is None or event.bot is None:
        return []
    shown = f"attempt {event.attempt_number}"
    steps = [Step(claimed, "work", f"claimed by {event.bot}", shown, event.bot_id, str(event.bot))]
    if heard is not None and heard > claimed:
        progress = f", at {detail['progress']} %" if detail.get("progress") is not None else ""
        steps.append(Step(heard, "work", "last sign of life", f"from {event.bot}{progress}"))
    return steps


def _lease(job: Job) -> list[Step]:
    bot = str(job.claimed_by)
    shown = f"attempt {job.attempt_number}"
    steps = [Step(job.claimed_at, "work", f"claimed by {bot}", shown, job.claimed_by_id, bot)]
    if job.started_at and job.claimed_at and job.started_at > job.claimed_at:
        steps.append(Step(job.started_at, "work", "started"))
    if job.heartbeat_at and job.heartbeat_at > (job.started_at or job.heartbeat_at - timedelta(1)):
        parts = [] if job.progress is None else [f"{job.progress} %"]
        parts += [job.progress_note] if job.progress_note else []
        steps.append(Step(job.heartbeat_at, "work", "last heartbeat", ", ".join(parts)))
    return steps


def _event(event: JobEvent) -> Step:
    who = {Actor.OPERATOR: event.by, Actor.SWEEP: "the sweep"}.get(Actor(event.actor), str(event.bot or event.by))
    text = event.reason
    if "to" in event.detail and event.verb in (Verb.PRIORITISE, Verb.TAKE_BACK):
        text = f"from {event.detail.get('from')} to {event.detail.get('to')}" + (f": {text}" if text else "")
    if event.verb == Verb.EDIT:
        text = f"{_edited(event.detail)}" + (f": {text}" if text else "")
    if event.from_status != event.to_status:
        text = f"{event.from_status} → {event.to_status}" + (f": {text}" if text else "")
    shown = event.attempt and event.verb not in (Verb.RETRY, Verb.PRIORITISE, Verb.EDIT, Verb.TAKE_BACK)
    of = f"attempt {event.attempt_number} " if shown else ""
    row = transitions.rows(event.verb)[0]
    title = f"{row.subject} {of}{row.past} by {who}".strip()
    return Step(event.at, row.look, title, text)


def _moment(text: str | None) -> datetime | None:
    return parse_datetime(text) if text else None


def _edited(detail: dict[str, Any]) -> str:
    at = detail.get("run_at")
    parts = [f"due {at[1]} and not {at[0]}"] if at else []
    return ", ".join(parts + (["another payload"] if detail.get("payload") else []))
