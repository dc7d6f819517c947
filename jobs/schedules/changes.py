"""Every change of a schedule by people, each in one transaction, with its entry in the audit log.

What is due is decided first, as the schedule was: an edit in the second in which it fires changes nothing of that.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from bots import audit
from bots.acts import Act
from bots.audit import COMMAND, HIDDEN, Who
from jobs.errors import NothingToSkip
from jobs.models import Schedule, ScheduleOccurrence
from jobs.schedules import firing, ledger
from jobs.schedules.definition import FIELDS, TIMING
from jobs.schedules.models import OUTCOME_LENGTH
from jobs.states import Fate
from jobsite.lib.clock import database_now
from jobsite.lib.errors import Invalid, NotFound
from jobsite.lib.strict_json import is_same


@dataclass(frozen=True)
class Put:
    """What `put` did."""

    schedule: Schedule
    created: bool
    #: The fields that changed; of a new schedule none.
    changed: tuple[str, ...] = ()


def put(name: str, values: Mapping[str, Any], *, by: Who = COMMAND, source: str | None = None) -> Put:
    """Create the schedule of this name, or change it to these values (`FIELDS`). The same again changes nothing.

    `source`: the file that it is from; None: it stays what it is.
    """
    given = dict(values) | ({} if source is None else {"source": source})
    with transaction.atomic():
        schedule = firing.locked(Schedule.objects.filter(name=name))
        if schedule is not None:
            return Put(schedule, False, _change(schedule, given, by))
        try:
            with transaction.atomic():
                return Put(_create(name, given, by), True)
        except IntegrityError:
            # Somebody else has created it since.
            with _locked(name) as schedule:
                return Put(schedule, False, _change(schedule, given, by))


def _create(name: str, values: Mapping[str, Any], by: Who) -> Schedule:
    now = database_now()
    schedule = Schedule(name=name, created_at=now, **values)
    schedule.next_at = schedule.timing.next_after(now)
    schedule.save(force_insert=True)
    audit.record(Act.CREATE, [audit.subject(schedule, after=_shown(values))], by=by)
    return schedule


def _change(schedule: Schedule, values: Mapping[str, Any], by: Who) -> tuple[str, ...]:
    before = _different(schedule, values)
    if not before:
        return ()
    firing.settle(schedule)
    for name in before:
        setattr(schedule, name, values[name])
    if not before.keys().isdisjoint(TIMING):
        now = _now(schedule)
        schedule.next_at = schedule.timing.next_after(now)
        # Moments of the old rule that were to be skipped.
        schedule.occurrences.filter(due_at__gt=now).delete()
    schedule.save(update_fields=[*before, "next_at"])
    after = {name: values[name] for name in before}
    audit.record(Act.CHANGE, [audit.subject(schedule, _shown(before), _shown(after))], by=by)
    return tuple(before)


def _different(schedule: Schedule, values: Mapping[str, Any]) -> dict[str, Any]:
    """What the schedule has in place of those of these values that it does not have."""
    now = {name: getattr(schedule, name) for name in values}
    return {name: now[name] for name, value in values.items() if not is_same(now[name], value)}


def _shown(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as the audit log has them: without payloads, which not everybody may see there."""
    return {name: HIDDEN if name == "payload" else value for name, value in values.items()}


def delete(name: str, *, by: Who = COMMAND) -> None:
    """Delete a schedule with its ledger. Its jobs stay."""
    with _locked(name) as schedule:
        before = _shown({field: getattr(schedule, field) for field in FIELDS})
        audit.record(Act.DELETE, [audit.subject(schedule, before)], by=by)
        schedule.delete()


def pause(name: str, *, until: datetime | None = None, reason: str = "", by: Who = COMMAND) -> Schedule:
    """Make no jobs until `until`, or until it is resumed. Moments in between are skipped."""
    with _locked(name) as schedule:
        if until is not None and until <= _now(schedule):
            raise Invalid.about("until", "a moment that is still to come.")
        firing.settle(schedule)
        _set(schedule, Act.PAUSE, by, reason, paused=True, paused_until=until, pause_reason=reason)
    return schedule


def resume(name: str, *, reason: str = "", by: Who = COMMAND) -> Schedule:
    """Make jobs again, from the next moment on."""
    with _locked(name) as schedule:
        firing.settle(schedule)
        _set(schedule, Act.RESUME, by, reason, **firing.RESUMED)
    return schedule


def skip(name: str, *, reason: str = "", by: Who = COMMAND) -> ScheduleOccurrence:
    """Skip the next moment, which has its fate from now on. NothingToSkip if there is none."""
    with _locked(name) as schedule:
        firing.settle(schedule)
        skipped = schedule.next_at
        if skipped is None:
            raise NothingToSkip(f"Schedule {name} has no moment to come.")
        who = f"Skipped by {by.name}" if by.name else "Skipped"
        row = ledger.row(schedule, skipped, Fate.SKIPPED, f"{who}: {reason}" if reason else f"{who}.")
        row.save(force_insert=True)
        _set(schedule, Act.SKIP, by, reason, next_at=schedule.timing.next_after(skipped))
    return row


def run_now(name: str, *, reason: str = "", by: Who = COMMAND) -> ScheduleOccurrence:
    """Make a job now, whatever the schedule's rule, pause and overlap say. Returns its row of the ledger.

    Where a job has the schedule's key, there is no new one. TooManyPending when it is refused.
    """
    with _locked(name) as schedule:
        firing.settle(schedule)
        now = _now(schedule)
        why = f"Run now by {by.name}" if by.name else "Run now"
        why += f": {reason}" if reason else ""
        if schedule.paused:
            why += f", although it is paused ({schedule.pause_reason or 'no reason given'})"
        if (other := ledger.unfinished_job(schedule)) is not None:
            why += f", while job {other} had not ended"
        (row,) = firing.make_jobs(schedule, [now], [Fate.ENQUEUED], refuse=True)
        row.reason = row.reason or f"{why}."[:OUTCOME_LENGTH]
        row.save(force_insert=True)
        # For those who have read it and are about to fire it: see enqueue_scheduled.sql.
        Schedule.objects.filter(pk=schedule.pk).update(next_at=schedule.next_at)
        after = {"job": row.job_id, "fate": row.fate}
        audit.record(Act.RUN, [audit.subject(schedule, after=after)], by=by, reason=reason)
    return row


def prune(source: str, names: set[str], *, by: Who = COMMAND) -> list[str]:
    """Delete the schedules that this file made and that are not among these names. Returns the deleted ones."""
    old = Schedule.objects.filter(source=source).exclude(name__in=names).order_by("name")
    gone = list(old.values_list("name", flat=True))
    for name in gone:
        delete(name, by=by)
    return gone


@contextmanager
def _locked(name: str) -> Iterator[Schedule]:
    """The schedule of this name, locked, in a transaction. NotFound where there is none."""
    with transaction.atomic():
        schedule = firing.locked(Schedule.objects.filter(name=name))
        if schedule is None:
            raise NotFound(f"There is no schedule {name[:100]!r}.")
        yield schedule


def _set(schedule: Schedule, verb: Act, by: Who, reason: str, **values: Any) -> None:
    """Set these columns, and record what changed. What is so already is no act."""
    before = _different(schedule, values)
    if not before:
        return
    for name in before:
        setattr(schedule, name, values[name])
    schedule.save(update_fields=list(before))
    after = {name: values[name] for name in before}
    audit.record(verb, [audit.subject(schedule, before, after)], by=by, reason=reason)


def _now(schedule: Schedule) -> datetime:
    now: datetime = schedule.locked_at  # type: ignore[attr-defined]  # annotated by `firing.locked`
    return now
