"""Fire schedules: in short transactions, each with the jobs, their occurrences and the next moments.

Any number of processes may do this at once: a schedule that one of them has locked is left out by the others. Nothing
is remembered between two moments, and the time is the database's alone (docs/decisions/0023-schedules.md).
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Any, TypeVar

import structlog
from django.db import OperationalError, transaction
from django.db.models import DateTimeField, Func, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now

from jobs.enqueue.scheduled import DueMoment, enqueue_scheduled
from jobs.errors import TooManyPending
from jobs.models import Schedule, ScheduleOccurrence
from jobs.schedules import ledger
from jobs.schedules.models import DUE_AT
from jobs.schedules.plan import ON_TIME, Policy, Step, plan
from jobs.states import Added, CatchUp, Fate, Overlap
from jobs.turns import notifications
from jobsite.lib import outcomes

T = TypeVar("T")
log = structlog.stdlib.get_logger("jobsite.jobs")

#: Seconds until a schedule with a fault is tried again, and those of a kind whose row, or a job's, stayed locked.
PAUSE_AFTER_FAULT, PAUSE_AFTER_LOCK = 60.0, 5.0
#: Schedules that are read at once.
BATCH = 100
#: The time when a row is read, which for one that was changed while its lock was waited for is after the wait.
CLOCK = Func(function="clock_timestamp", output_field=DateTimeField())
#: What a schedule is after its pause.
RESUMED: dict[str, Any] = {"paused": False, "paused_until": None, "pause_reason": ""}


class Firing:
    """Fires what is due. It remembers only what it could not fire a moment ago, so that this does not stop the rest."""

    def __init__(self) -> None:
        #: Until when schedules, and kinds, are left out.
        self._schedules: dict[int, float] = {}
        self._kinds: dict[str, float] = {}

    def fire_due(self) -> None:
        """Fire every schedule that is due now, and what has waited for the end of a job."""
        while self._round():
            pass
        for schedule in self._without_faulty(ledger.with_ready_to_start().defer("payload")):
            self._settle(Schedule.objects.filter(pk=schedule.pk), schedule)

    def _round(self) -> bool:
        """Fire each schedule that is due once. Returns whether any has more to do than one transaction may take."""
        passed, kinds, more = set[int](), set[str](), False
        while batch := _due(self._without_faulty(Schedule.objects.exclude(pk__in=passed))):
            special, others = self._fire_simple(batch)
            passed |= others
            new = {schedule.kind for schedule in special} - kinds
            for schedule in special:
                # Where the kind is new the first creates it, and the others are simple in the next batch.
                if self._is_left_out(schedule) or (schedule.kind in kinds and schedule.kind in new):
                    continue
                kinds.add(schedule.kind)
                complete = self._settle(Schedule.objects.due().filter(pk=schedule.pk), schedule)
                if not complete:
                    passed.add(schedule.pk)
                    more = more or complete is False
        return more

    def _fire_simple(self, batch: Sequence[Schedule]) -> tuple[list[Schedule], set[int]]:
        """Fire those of a batch that have nothing special, in one statement.

        Returns those that have, and the ids of those that somebody has locked, or changed since they were read.
        """
        simple = {one: moment for one in batch if (moment := self._guarded(one, partial(_simple, one)))}
        together = {one: moment for one, moment in simple.items() if not one.key}
        # One with a key may wait for another producer with the same key, and nothing should wait with it.
        alone = [{one: moment} for one, moment in simple.items() if one.key]
        fired: dict[int, bool] = {}
        for some in (together, *alone):
            fired |= self._fire(some)
            notifications.announce(Counter(one.kind for one in some if fired.get(one.pk)))
        special = [one for one in batch if one not in simple or fired.get(one.pk) is False]
        return special, {one.pk for one in simple if one.pk not in fired}

    def _fire(self, simple: Mapping[Schedule, DueMoment]) -> dict[int, bool]:
        """Fire these in one statement, and after a fault each in one of its own. Returns which were that simple."""
        if len(simple) == 1:
            ((schedule, moment),) = simple.items()
            if self._is_left_out(schedule):
                return {}
            return self._guarded(schedule, partial(enqueue_scheduled, [moment])) or {}
        try:
            return enqueue_scheduled([*simple.values()]) if simple else {}
        except Exception as error:
            _check_nothing_done(error)
            log.warning(f"{len(simple)} schedules could not be fired at once, trying one by one: {error}")
        fired: dict[int, bool] = {}
        for schedule, moment in simple.items():
            fired |= self._fire({schedule: moment})
        return fired

    def _settle(self, schedules: QuerySet[Schedule], schedule: Schedule) -> bool | None:
        """Decide what is due of a schedule. Returns whether that was all; None: it is locked, or had a fault."""

        def settle_one() -> bool | None:
            with transaction.atomic():
                now = locked(schedules, skip_locked=True)
                return None if now is None else settle_part(now)

        return self._guarded(schedule, settle_one)

    def _guarded(self, schedule: Schedule, act: Callable[[], T | None]) -> T | None:
        """Do this. A fault of this schedule is logged, and it is left out for a while: all of its kind after a lock."""
        try:
            return act()
        except Exception as error:
            _check_nothing_done(error)
            log.exception(f"schedule {schedule.name} could not be fired", schedule=schedule.name)
            if isinstance(error, OperationalError):
                self._kinds[schedule.kind] = monotonic() + PAUSE_AFTER_LOCK
            else:
                self._schedules[schedule.pk] = monotonic() + PAUSE_AFTER_FAULT
            return None

    def _is_left_out(self, schedule: Schedule) -> bool:
        until = max(self._schedules.get(schedule.pk, 0.0), self._kinds.get(schedule.kind, 0.0))
        return until > monotonic()

    def _without_faulty(self, schedules: QuerySet[Schedule]) -> QuerySet[Schedule]:
        now = monotonic()
        if faulty := [pk for pk, until in self._schedules.items() if until > now]:
            schedules = schedules.exclude(pk__in=faulty)
        if kinds := [kind for kind, until in self._kinds.items() if until > now]:
            schedules = schedules.exclude(kind__in=kinds)
        return schedules


def _due(schedules: QuerySet[Schedule]) -> list[Schedule]:
    """Some of these that are due, the longest due first, in no order: so two processes are seldom at the same one."""
    version = RawSQL('"jobs_schedule"."xmin"::text', ())
    due = schedules.defer("payload").alias(due_at=DUE_AT).filter(due_at__lte=Now())
    rows: list[Schedule] = [*due.annotate(locked_at=Now(), version=version).order_by(DUE_AT, "pk")[:BATCH]]
    random.shuffle(rows)
    return rows


def _check_nothing_done(error: Exception) -> None:
    """Raise an error of the database after which nobody knows what was done."""
    if isinstance(error, outcomes.ERRORS) and not outcomes.nothing_done(error):
        raise error


def _simple(schedule: Schedule) -> DueMoment | None:
    """The moment of a schedule that has only one that is due, on time, and may get a job at once."""
    due, now = schedule.next_at, _annotated(schedule, "locked_at")
    if schedule.paused or schedule.overlap == Overlap.QUEUE or due is None or not now - ON_TIME <= due <= now:
        return None
    following = schedule.timing.next_after(due)
    if following is not None and following <= now:
        return None
    return DueMoment(schedule.pk, _annotated(schedule, "version"), schedule.kind, following)


def _annotated(schedule: Schedule, annotation: str) -> Any:
    return getattr(schedule, annotation)


def locked(schedules: QuerySet[Schedule], *, skip_locked: bool = False) -> Schedule | None:
    """Lock the first of these until the end of the transaction. Its `locked_at` is the database's time.

    If somebody changed it while this waited for the lock, that is when the wait was over: what was due until then has
    its fate.
    """
    return schedules.annotate(locked_at=CLOCK).select_for_update(no_key=True, skip_locked=skip_locked).first()


def settle(schedule: Schedule) -> None:
    """Decide all that is due of a locked schedule, as it is now."""
    while not settle_part(schedule):
        pass


def settle_part(schedule: Schedule) -> bool:
    """Decide what is due of a locked schedule, as far as one transaction may. Returns whether that was all."""
    now: datetime = _annotated(schedule, "locked_at")
    planned = plan(schedule.timing, _policy(schedule), schedule.next_at, now)
    changed: dict[str, Any] = {"next_at": planned.next_at} if planned.next_at != schedule.next_at else {}
    if planned.pause_is_over:
        changed |= RESUMED
    for name, value in changed.items():
        setattr(schedule, name, value)
    if schedule.overlap == Overlap.QUEUE or not planned.steps:
        _start_waiting(schedule)
    rows: list[ScheduleOccurrence] = []
    for step in planned.steps:
        if not step.wants_job:
            one = ledger.row(schedule, step.due.first, step.fate, step.reason)
            one.until_at, one.count = step.due.last, step.due.count
            rows.append(one)
    rows += _with_jobs(schedule, [step for step in planned.steps if step.wants_job])
    ledger.write(schedule, rows)
    if changed:
        Schedule.objects.filter(pk=schedule.pk).update(**changed)
    return planned.is_complete(now)


def _policy(schedule: Schedule) -> Policy:
    return Policy(
        CatchUp(schedule.catch_up), schedule.catch_up_within, schedule.paused, schedule.paused_until,
        schedule.pause_reason,
    )  # fmt: skip


def make_jobs(
    schedule: Schedule, moments: Sequence[datetime], fates: Sequence[Fate], *, refuse: bool = False
) -> list[ScheduleOccurrence]:
    """Add a job for each of these moments. Returns their rows, with another fate where there is no new job.

    With `refuse` TooManyPending when they are refused.
    """
    # A sweep that makes no job here does without Pydantic, whose import is a tenth of its start.
    from jobs.enqueue.insert import enqueue_within
    from jobs.enqueue.new_job import NewJob

    new = [
        NewJob(
            schedule.kind, schedule.payload, schedule.priority, key=schedule.key, schedule=schedule.name,
            scheduled_for=at, group=schedule.group,
        )
        for at in moments
    ]  # fmt: skip
    try:
        jobs = enqueue_within(new)
    except TooManyPending as error:
        if refuse:
            raise
        of = f"{error.extra['kind']} jobs" if error.extra["kind"] else "jobs of all kinds"
        return [ledger.row(schedule, at, Fate.MISSED, f"Refused: too many {of} are pending.") for at in moments]
    return [
        ledger.row(schedule, at, wanted, job=job)
        if added == Added.CREATED
        else ledger.row(schedule, at, Fate.SKIPPED, f"Job {job} has its key {schedule.key}.", job)
        for at, wanted, (job, added) in zip(moments, fates, jobs, strict=True)
    ]


def _with_jobs(schedule: Schedule, steps: Sequence[Step]) -> list[ScheduleOccurrence]:
    """Make the jobs that the overlap rule allows. Returns the rows of all these steps."""
    if not steps:
        return []
    blocking = None if schedule.overlap == Overlap.ALLOW else ledger.unfinished_job(schedule)
    free = len(steps) if schedule.overlap == Overlap.ALLOW or schedule.key else 1
    now, later = (steps[:0], steps) if blocking else (steps[:free], steps[free:])
    rows = make_jobs(schedule, [s.due.first for s in now], [s.fate for s in now]) if now else []
    moments = [step.due.first for step in later]
    if rows and rows[-1].fate == Fate.MISSED:
        # It was refused, and so are those after it.
        return rows + [ledger.row(schedule, at, Fate.MISSED, rows[-1].reason) for at in moments]
    return rows + (_held_up(schedule, moments, blocking or rows[-1].job_id) if moments else [])


def _held_up(schedule: Schedule, moments: Sequence[datetime], job: int | None) -> list[ScheduleOccurrence]:
    """The rows of occurrences that would overlap with this job of the same schedule."""
    rest, rows = list(moments), []
    reason = f"Job {job} of this schedule has not ended."
    if schedule.overlap == Overlap.QUEUE:
        if ledger.waiting_row(schedule) is None:
            rows = [ledger.row(schedule, rest.pop(0), Fate.WAITING, f"Waits for job {job} to end.", job)]
        reason = f"Job {job} of this schedule has not ended, and another moment waits."
    return rows + [ledger.row(schedule, at, Fate.SKIPPED, reason, job) for at in rest]


def _start_waiting(schedule: Schedule) -> None:
    """Make the job of the occurrence that waits, if no job of the schedule is unfinished any more."""
    waits = None if schedule.paused else ledger.waiting_row(schedule)
    if waits is None or ledger.unfinished_job(schedule) is not None:
        return
    (done,) = make_jobs(schedule, [waits.due_at], [Fate.ENQUEUED])
    reason = done.reason or f"Waited for job {waits.job_id} to end."
    ScheduleOccurrence.objects.filter(pk=waits.pk).update(fate=done.fate, job=done.job_id, reason=reason, at=Now())
