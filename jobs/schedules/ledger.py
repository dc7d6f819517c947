"""The ledger of a schedule: what became of each of its moments, written in the transaction that decided it."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Now

from jobs.models import Job, Schedule, ScheduleOccurrence
from jobs.states import UNFINISHED, Fate

#: How long occurrences are kept, and how many are deleted at once.
KEPT = timedelta(days=90)
PRUNED_AT_ONCE = 10_000
#: Consecutive ones with such a fate, and the same job and reason, are one row.
FOLDED = (Fate.SKIPPED, Fate.MISSED)


def unfinished_job(schedule: Schedule) -> int | None:
    """The oldest job of a schedule that has not ended."""
    jobs = Job.objects.filter(schedule=schedule.name, status__in=UNFINISHED).exclude(schedule="")
    return jobs.order_by("pk").values_list("pk", flat=True).first()


def waiting_row(schedule: Schedule) -> ScheduleOccurrence | None:
    """The occurrence that waits for a job of the same schedule to end."""
    return schedule.occurrences.filter(fate=Fate.WAITING).first()


def with_ready_to_start() -> QuerySet[Schedule]:
    """Schedules of which an occurrence has waited long enough: no job of theirs is unfinished."""
    running = Job.objects.filter(schedule=OuterRef("name"), status__in=UNFINISHED).exclude(schedule="")
    waiting = ScheduleOccurrence.objects.filter(fate=Fate.WAITING).values("schedule")
    return Schedule.objects.filter(~Exists(running), pk__in=waiting).exclude(pk__in=Schedule.objects.paused_now())


def row(
    schedule: Schedule, due_at: datetime, fate: Fate, reason: str = "", job: int | None = None
) -> ScheduleOccurrence:
    """A row about one occurrence, to be written."""
    most = ScheduleOccurrence._meta.get_field("reason").max_length
    return ScheduleOccurrence(
        schedule=schedule, due_at=due_at, until_at=due_at, fate=fate, reason=reason[:most], job_id=job
    )


def write(schedule: Schedule, rows: Sequence[ScheduleOccurrence]) -> None:
    """Write rows in the order of time, after all that are there. The schedule is locked."""
    new: list[ScheduleOccurrence] = []
    for one in rows:
        last = new[-1] if new else _last(schedule) if one.fate in FOLDED else None
        if last is None or not _folds(last, one):
            new.append(one)
        elif new:
            last.until_at, last.count = one.until_at, last.count + one.count
        else:
            schedule.occurrences.filter(pk=last.pk).update(
                until_at=one.until_at, count=last.count + one.count, at=Now()
            )
            # What follows may fold into the same row.
            last.until_at, last.count = one.until_at, last.count + one.count
    ScheduleOccurrence.objects.bulk_create(new)


def _last(schedule: Schedule) -> ScheduleOccurrence | None:
    return schedule.occurrences.order_by("-due_at").first()


def _folds(last: ScheduleOccurrence, one: ScheduleOccurrence) -> bool:
    return one.fate in FOLDED and (last.fate, last.reason, last.job_id) == (one.fate, one.reason, one.job_id)


def run_in_words(row: ScheduleOccurrence) -> str:
    """What became of a schedule that was run by hand."""
    return f"Job {row.job_id} was made." if row.fate == Fate.ENQUEUED else f"No job was made: {row.reason}"


def missed() -> QuerySet[Schedule]:
    """Schedules whose newest occurrence that was not skipped was missed."""
    rows = ScheduleOccurrence.objects.filter(schedule=OuterRef("pk")).exclude(fate=Fate.SKIPPED).order_by("-due_at")
    return Schedule.objects.alias(newest=Subquery(rows.values("fate")[:1])).filter(newest=Fate.MISSED)


def recent(schedules: Iterable[Schedule], most: int) -> dict[int, list[ScheduleOccurrence]]:
    """The last `most` rows of each of these schedules whose moment has come, newest first, in two queries."""
    past = ScheduleOccurrence.objects.filter(schedule=OuterRef("pk"), due_at__lte=Now()).order_by("-due_at")
    found = Schedule.objects.filter(pk__in=[schedule.pk for schedule in schedules])
    ids = dict(found.annotate(ids=ArraySubquery(past.values("pk")[:most])).values_list("pk", "ids"))
    rows = ScheduleOccurrence.objects.in_bulk([pk for some in ids.values() for pk in some])
    return {schedule: [rows[pk] for pk in some if pk in rows] for schedule, some in ids.items()}


def prune() -> int:
    """Delete rows older than `KEPT`. Returns their number."""
    old = ScheduleOccurrence.objects.filter(until_at__lt=Now() - KEPT).exclude(fate=Fate.WAITING)
    ids = list(old.order_by("until_at").values_list("pk", flat=True)[:PRUNED_AT_ONCE])
    return ScheduleOccurrence.objects.filter(pk__in=ids).delete()[0] if ids else 0
