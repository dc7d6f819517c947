"""The rows of a list of jobs: what it shows of each, without what may be large."""

from collections.abc import Iterable
from typing import Any

from django.db.models import CharField, F, OuterRef, Subquery, TextField, Value
from django.db.models.expressions import Case, RawSQL, When
from django.db.models.functions import Cast, Coalesce, Left, Right

from jobs import fingerprints
from jobs.models import Job, JobEvent, JobQuerySet
from jobs.states import JobStatus

#: How much of a payload a row has, and of an error, which ends with what went wrong.
PAYLOAD_START, ERROR_END = 120, 1000
#: A payload that is larger, as it is stored, is not read for its first words.
PAYLOAD_READ = 8000
LARGE = "large"

#: What a list can be ordered by, apart from id.
ORDERS: dict[str, Any] = {
    "kind": F("kind"),
    "status": F("status"),
    "error": fingerprints.words(),
    "key": F("key"),
    "group": F("group_name"),
    "bot": Coalesce("claimed_by__name", "finished_by__name", "last_bot"),
    "since": Coalesce("claimed_at", "finished_at", "run_at"),
    "attempt": F("attempt"),
    "priority": F("priority"),
}


def rows(ids: Iterable[int], *, order: str = "", start: int = 0, most: int | None = None) -> list[Job]:
    """The jobs with these ids: the newest first, or in one of `ORDERS`, with a minus from the last to the first.

    With `most` so many of them, from `start` on.
    """
    by = ORDERS.get(order.lstrip("-"))
    if by is None:
        found = list(_annotated(Job.objects.filter(pk__in=list(ids))).order_by("-id"))
        return found if most is None else found[start : start + most]
    # What is shown of a job is read of those that are, and not of all that are sorted.
    jobs = Job.objects.filter(pk__in=list(ids)).alias(last_bot=_last("bot__name"))
    jobs = jobs.order_by(by.desc(nulls_last=True) if order.startswith("-") else by.asc(nulls_last=True), "-id")
    shown = list(jobs.values_list("pk", flat=True)[start : None if most is None else start + most])
    of_id = {job.pk: job for job in _annotated(Job.objects.filter(pk__in=shown))}
    return [of_id[pk] for pk in shown if pk in of_id]


def _last(of_event: str) -> Subquery:
    """Who had a job last, where nobody has it: an attempt that did not end well is in the history alone."""
    events = JobEvent.objects.filter(job=OuterRef("pk"), bot__isnull=False).order_by("-id")
    return Subquery(events.values(of_event)[:1])


def _annotated(jobs: JobQuerySet) -> JobQuerySet:
    size = RawSQL("pg_column_size(jobs_job.payload)", [])
    start = Case(
        When(payload_size__lte=PAYLOAD_READ, then=Left(Cast("payload", TextField()), PAYLOAD_START)),
        default=Value(LARGE),
    )
    alike = Case(When(status=JobStatus.FAILED, then=fingerprints.fingerprint()), output_field=CharField())
    return (
        jobs.alias(payload_size=size)
        .annotate(
            last_bot=_last("bot__name"),
            last_bot_id=_last("bot"),
            payload_start=start,
            error_end=Right("error", ERROR_END),
            fingerprint=alike,
        )
        .select_related("claimed_by", "finished_by")
        .defer("payload", "result", "error")
    )
