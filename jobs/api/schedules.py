"""Calls about schedules."""

import re
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest
from ninja import Body, Router, Status

from bots.acts import Act
from bots.audit import caller as audited
from bots.models import NAME_LENGTH
from jobs import payloads
from jobs.api import schemas
from jobs.api.auth import enqueuer, key_of, people_only, require, user_of
from jobs.enqueue import refusals
from jobs.errors import NothingToSkip, TooManyPending
from jobs.models import Schedule, ScheduleOccurrence
from jobs.schedules import changes, definition, ledger
from jobs.schedules.models import NAME_PATTERN, NAME_RULE
from jobs.states import Fate
from jobsite.lib.cursor_page import CursorPage
from jobsite.lib.declared import refuses
from jobsite.lib.errors import Invalid, NotFound
from jobsite.lib.params import period_in, takes

router = Router(auth=people_only, tags=["Schedules"])


def occurrence_out(row: ScheduleOccurrence) -> dict[str, Any]:
    """An occurrence as `OccurrenceOut`."""
    fields = ("due_at", "until_at", "count", "fate", "reason", "at")
    return {name: getattr(row, name) for name in fields} | {"job": row.job_id}


def schedule_out(schedule: Schedule, user: User, last: ScheduleOccurrence | None) -> dict[str, Any]:
    """A schedule as `ScheduleOut`, as this user may see it."""
    fields = ("name", "paused", "paused_until", "pause_reason", "next_at", "source", "created_at")
    shown = {"hidden": []} if payloads.may_see(user) else {"payload": None, "hidden": ["payload"]}
    return (
        definition.written(schedule)
        | {name: getattr(schedule, name) for name in fields}
        | {"words": schedule.timing.words(), "last": None if last is None else occurrence_out(last)}
        | shown
    )


def _shown(request: HttpRequest, schedule: Schedule) -> dict[str, Any]:
    last = ledger.recent([schedule], 1)[schedule.pk]
    return schedule_out(schedule, user_of(request), last[0] if last else None)


def _find(request: HttpRequest, name: str, permission: str, **scope: Any) -> Schedule:
    """The schedule, if the caller has this permission for its kind. NotFound where there is none."""
    require(request, permission, kinds=(), **scope)
    found = Schedule.objects.filter(name=name).first() if re.match(NAME_PATTERN, name) else None
    if found is None:
        raise NotFound(f"There is no schedule {name[:100]!r}.")
    require(request, permission, kinds=[found.kind], **scope)
    return found


@router.get("/schedules", response=schemas.SchedulesOut)
@takes("limit", "cursor")
def schedules(request: HttpRequest) -> Any:
    """List schedules in the order in which they were made."""
    kinds = key_of(request).kinds
    user = require(request, "jobs.view_schedule", kinds=kinds)
    found = Schedule.objects.order_by("id")
    if kinds:
        found = found.filter(kind__in=kinds)
    page = CursorPage.from_request(request)
    rows, next_cursor = page.cut(page.oldest_first(found)[: page.reads])
    last = ledger.recent(rows, 1)
    out = [schedule_out(row, user, next(iter(last[row.pk]), None)) for row in rows]
    return {"schedules": out, "next_cursor": next_cursor}


@router.post("/schedules/preview", response=schemas.PreviewOut, operation_id="previewSchedule")
def preview(request: HttpRequest, data: definition.TimingIn) -> Any:
    """Show what a rule means: in words, and its next ten occurrences.

    Changes nothing.
    """
    require(request, "jobs.change_schedule", scope=Act.CHANGE)
    return definition.preview(data)


@router.get("/schedules/{name}", response=schemas.ScheduleOut)
def schedule(request: HttpRequest, name: str) -> Any:
    """Show a schedule."""
    return _shown(request, _find(request, name, "jobs.view_schedule"))


@router.put("/schedules/{name}", response={200: schemas.ScheduleOut, 201: schemas.ScheduleOut})
def put(request: HttpRequest, name: str, data: definition.ScheduleIn) -> Any:
    """Create or change a schedule.

    201 when there was none of this name. What is left out gets its default. The same again changes nothing. Its next
    moment stays, unless the timing changes. A pause stays, too.
    """
    permissions = ("jobs.add_schedule", "jobs.change_schedule")
    require(request, *permissions, scope=Act.CHANGE, kinds=[data.kind])
    if not re.match(NAME_PATTERN, name) or len(name) > NAME_LENGTH:
        raise Invalid.about("name", NAME_RULE)
    before = Schedule.objects.filter(name=name).first()
    if before is not None:
        require(request, *permissions, scope=Act.CHANGE, kinds=[before.kind])
    done = changes.put(name, data.to_values(), by=audited(request))
    return Status(201 if done.created else 200, _shown(request, done.schedule))


@router.delete("/schedules/{name}", response=schemas.ScheduleChangeOut)
def delete(request: HttpRequest, name: str) -> Any:
    """Delete a schedule with its occurrences.

    Its jobs stay.
    """
    found = _find(request, name, "jobs.delete_schedule", scope=Act.DELETE)
    changes.delete(found.name, by=audited(request))
    return _changed(found, "deleted", f"Schedule {name} was deleted. Its jobs stay.")


@router.post("/schedules/{name}/run", response=schemas.ScheduleChangeOut)
@refuses(TooManyPending)
def run(request: HttpRequest, name: str, data: schemas.ReasonIn = Body(default_factory=schemas.ReasonIn)) -> Any:
    """Make a job now.

    Whatever the rule, a pause and other jobs of the schedule say: the reason in `occurrence` names what was ignored.
    """
    found = _find(request, name, "jobs.run_schedule", scope=Act.RUN)
    with refusals.recorded(*enqueuer(request)):
        row = changes.run_now(found.name, reason=data.reason, by=audited(request))
    return _changed(found, "run", ledger.run_in_words(row), row)


@router.post("/schedules/{name}/pause", response=schemas.ScheduleChangeOut)
def pause(
    request: HttpRequest, name: str, data: schemas.PauseScheduleIn = Body(default_factory=schemas.PauseScheduleIn)
) -> Any:
    """Pause a schedule.

    It makes no jobs until `until`, or until it is resumed. What is due in between is skipped.
    """
    found = _find(request, name, "jobs.pause_schedule", scope=Act.PAUSE)
    changes.pause(found.name, until=data.until, reason=data.reason, by=audited(request))
    return _changed(found, "paused", f"Schedule {name} makes no jobs.")


@router.post("/schedules/{name}/resume", response=schemas.ScheduleChangeOut)
def resume(request: HttpRequest, name: str, data: schemas.ReasonIn = Body(default_factory=schemas.ReasonIn)) -> Any:
    """Resume a schedule, from its next moment on."""
    found = _find(request, name, "jobs.pause_schedule", scope=Act.RESUME)
    changes.resume(found.name, reason=data.reason, by=audited(request))
    return _changed(found, "resumed", f"Schedule {name} makes jobs.")


@router.post("/schedules/{name}/skip", response=schemas.ScheduleChangeOut)
@refuses(NothingToSkip)
def skip(request: HttpRequest, name: str, data: schemas.ReasonIn = Body(default_factory=schemas.ReasonIn)) -> Any:
    """Skip the next moment of a schedule.

    Its occurrence is there at once.
    """
    found = _find(request, name, "jobs.pause_schedule", scope=Act.SKIP)
    row = changes.skip(found.name, reason=data.reason, by=audited(request))
    return _changed(found, "skipped", f"The next moment of schedule {name} makes no job.", row)


@router.get("/schedules/{name}/occurrences", response=schemas.OccurrencesOut)
@takes("since", "until", "limit", "cursor", fate=(Fate, "Only of this fate."))
def occurrences(request: HttpRequest, name: str) -> Any:
    """List what became of a schedule's moments, the last decided first."""
    found = _find(request, name, "jobs.view_schedule").occurrences.order_by("-id")
    if fate := request.GET.get("fate"):
        if fate not in Fate.values:
            raise Invalid.about("fate", f"one of {', '.join(Fate.values)}.")
        found = found.filter(fate=fate)
    since, until = period_in(request)
    found = found if since is None else found.filter(until_at__gte=since)
    found = found if until is None else found.filter(due_at__lt=until)
    page = CursorPage.from_request(request)
    rows, next_cursor = page.cut(page.newest_first(found)[: page.reads])
    return {"occurrences": [occurrence_out(row) for row in rows], "next_cursor": next_cursor}


def _changed(schedule: Schedule, status: str, message: str, row: ScheduleOccurrence | None = None) -> dict[str, Any]:
    return {
        "schedule": schedule.name,
        "status": status,
        "message": message,
        "occurrence": None if row is None else occurrence_out(row),
    }
