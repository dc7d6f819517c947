"""Calls of producers and operators about jobs, and release, which bots share with them."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest
from ninja import Body, Router, Status

from bots.acts import Act
from bots.audit import caller as audited
from bots.models import NAME_LENGTH, Bot
from jobs import lifecycle, payloads
from jobs.api import schemas
from jobs.api.auth import bot_of, by_of, either, enqueuer, key_of, people_only, require, user_of
from jobs.bounds import GROUP_LENGTH, KEY_LENGTH
from jobs.enqueue import insert, refusals
from jobs.enqueue.new_job import JobIn
from jobs.errors import (
    KeyTaken,
    LeaseLost,
    NotCancellable,
    NotEditable,
    NotReleasable,
    NotRetryable,
    TooManyDeferrals,
    TooManyPending,
)
from jobs.explain import why
from jobs.lifecycle import By, Change, Edited, Report
from jobs.lists import job_list
from jobs.lists.filters import TEXT_LENGTH, JobFilter
from jobs.models import Job, JobEvent
from jobs.states import Added, JobStatus, Verb
from jobs.transitions import OPERATIONS
from jobsite.lib.cursor_page import CursorPage
from jobsite.lib.declared import refuses
from jobsite.lib.errors import Invalid, NotFound
from jobsite.lib.params import job_id_in, number_in, takes, text_in

router = Router(auth=people_only, tags=["Jobs"])
shared = Router(auth=either, tags=["Jobs"])


def job_out(job: Job, user: User) -> dict[str, Any]:
    """A job as `JobOut`, as this user may see it. The bot must have been selected with it."""
    fields = (
        "id", "status", "priority", "run_at", "key", "attempt", "max_attempts", "claimed_at", "started_at",
        "heartbeat_at", "deadline_at", "finished_at", "created_at", "progress", "progress_note",
        "schedule", "scheduled_for", "start_by", "deferrals",
    )  # fmt: skip
    return (
        {name: getattr(job, name) for name in fields}
        | payloads.values_for(user, job)
        | {
            "kind": job.kind_id,
            "group": job.group_name or None,
            "unique": job.unique_mode,
            **{name: _seconds(getattr(job, name)) for name in ("run_within", "heartbeat_within", "backoff")},
            "claimed_by": job.claimed_by_id,
            "bot": job.claimed_by.name if job.claimed_by else None,
        }
    )


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def find(job_id: int) -> Job:
    """The job, with its bot. NotFound otherwise."""
    job = Job.objects.select_related("claimed_by").filter(pk=job_id).first()
    if job is None:
        raise NotFound(f"There is no job {job_id}.")
    return job


@router.post("/jobs", response={201: schemas.EnqueuedOut, 200: schemas.EnqueuedOut}, operation_id="enqueueJob")
@refuses(TooManyPending)
def enqueue(request: HttpRequest, data: JobIn) -> Any:
    """Add a job. If another of its kind has the `key`: 200 with that one, which `on_conflict: replace` changes first.

    `outcome` says which.
    """
    user = require(request, "jobs.add_job", scope=Act.ENQUEUE, kinds=[data.kind])
    with refusals.recorded(*enqueuer(request)):
        job, added = insert.enqueue_one(data.to_new(), by=By.operator(audited(request)))
    # Who made it may see what they sent.
    sent = added != Added.EXISTING
    mine = {name: getattr(job, name) for name in payloads.FIELDS} | {"hidden": []} if sent else {}
    return Status(201 if added == Added.CREATED else 200, job_out(job, user) | mine | {"outcome": added})


@router.get("/jobs", response=schemas.JobsOut)
@takes(
    "limit",
    "cursor",
    status=(JobStatus, "Only jobs of this status."),
    kind=(str, "Only jobs of this kind."),
    key=(str, "Only jobs that were given this idempotency key; with its `kind`."),
    group=(str, "Only jobs of this group."),
    bot=(str, "Only jobs that this bot holds: its id or its name."),
    q=(str, "Only jobs that this search finds, as in the console: `cust-17`, `payload.customer=17`, `error:timeout`."),
)
def jobs(request: HttpRequest) -> Any:
    """List jobs, newest first."""
    kind = text_in(request, "kind", NAME_LENGTH)
    kinds = [kind] if kind else key_of(request).kinds
    user = require(request, "jobs.view_job", kinds=kinds)
    status = request.GET.get("status", "")
    if status and status not in JobStatus.values:
        raise Invalid.about("status", f"one of {', '.join(JobStatus.values)}.")
    holders = _holders(text_in(request, "bot", NAME_LENGTH))
    page = CursorPage.from_request(request)
    text = text_in(request, "q", TEXT_LENGTH)
    others = [name for name in ("key", "group", "bot") if text and request.GET.get(name)]
    if others:
        raise Invalid.about(others[0], "write it into `q`: a search has its own fields.")
    group, key = text_in(request, "group", GROUP_LENGTH), text_in(request, "key", KEY_LENGTH)
    if key and not kind:
        raise Invalid.about("key", "name its kind as well; another kind may have a job with the same key.")
    asked = JobFilter(
        status=status, text=text, before=page.cursor, among=tuple(kinds), sees_payloads=payloads.may_see(user),
        keys=(key,) if key else (), groups=(group,) if group else (), holders=holders,
    )  # fmt: skip
    if asked.terms.notes:
        raise Invalid.about("q", " ".join(asked.terms.notes))
    if asked.terms.reads_payloads:
        require(request, payloads.PERMISSION, kinds=kinds)
    # Like a page of the console a search looks only so far; `next_cursor` looks further.
    found = job_list.search(asked, page.limit)
    rows = Job.objects.select_related("claimed_by").filter(pk__in=found.ids).order_by("-id")
    next_cursor = None if found.goes_on_at is None else str(found.goes_on_at)
    return {"jobs": [job_out(job, user) for job in rows], "next_cursor": next_cursor}


def _holders(bot: str) -> tuple[int, ...]:
    """The bot of this id or name, for a filter; empty for none. No bot has the id 0."""
    if not bot:
        return ()
    number = number_in(bot)
    found = Bot.objects.filter(name=bot) if number is None else Bot.objects.filter(pk=number)
    return (found.values_list("pk", flat=True).first() or 0,)


def _find_for(request: HttpRequest, job_id: str) -> Job:
    """The job, which the caller may view."""
    require(request, "jobs.view_job", kinds=())
    job = find(job_id_in(job_id))
    require(request, "jobs.view_job", kinds=[job.kind_id])
    return job


@router.get("/jobs/{job_id}", response=schemas.JobOut)
def job(request: HttpRequest, job_id: str) -> Any:
    """Show a job."""
    return job_out(_find_for(request, job_id), user_of(request))


@router.get("/jobs/{job_id}/events", response=schemas.EventsOut)
def events(request: HttpRequest, job_id: str) -> Any:
    """List a job's history, oldest first.

    Interventions, and attempts that were not plain successes.
    """
    found = JobEvent.objects.filter(job=_find_for(request, job_id)).order_by("id")
    events = payloads.events_for(user_of(request), found)
    return {"events": [{name: getattr(event, name) for name in schemas.EventOut.model_fields} for event in events]}


@router.get("/jobs/{job_id}/explain", response=schemas.ExplainedOut, operation_id="explainJob")
def explained(request: HttpRequest, job_id: str) -> Any:
    """Explain a job's state, with the evidence.

    `manage.py explain` and the job's page give the same answer. `about` and `figures` are for programs; `why` and
    `says` may be reworded.
    """
    job = _find_for(request, job_id)
    return why.explain(job, user_of(request)).as_dict()


@shared.post("/jobs/{job_id}/release", response=schemas.ChangeOut | schemas.ReportOut)
@refuses(NotReleasable, LeaseLost, TooManyDeferrals)
def release(
    request: HttpRequest, job_id: str, data: schemas.ReleaseIn = Body(default_factory=schemas.ReleaseIn)
) -> Any:
    """Release a job unfinished.

    The attempt is not counted. A bot hands its own job back, and names the `attempt`; with `run_in` it defers the job.
    An operator releases it from any bot, and may give a `reason`; with `to_another` no process gets it for ten minutes
    that held it.
    """
    number = job_id_in(job_id)
    caller: Any = bot_of(request)
    if isinstance(caller, Bot):
        if data.attempt is None:
            raise Invalid.about("attempt", "a bot names the attempt it gives back.")
        report = Report(number, data.attempt, run_in=data.run_in)
        if data.to_another:
            raise Invalid.about("to_another", "only an operator releases a job to another bot.")
        outcome = lifecycle.hand_back([report], by=by_of(request), reason=data.reason)
        outcome.raise_error(number)
        done = "released" if data.run_in is None else "deferred"
        return {"status": done, "job_id": number, "attempt": data.attempt, **outcome.orders}
    if data.run_in is not None:
        raise Invalid.about("run_in", "only a bot defers a job that it holds.")
    if data.attempt is not None:
        raise Invalid.about("attempt", "only a bot names an attempt; an operator releases whoever holds the job.")
    carry_out = partial(lifecycle.release, to_another=data.to_another)
    return _operate(request, Verb.RELEASE, carry_out, number, data.reason)


@router.post("/jobs/{job_id}/cancel", response=schemas.ChangeOut)
@refuses(NotCancellable)
def cancel(request: HttpRequest, job_id: str, data: schemas.ReasonIn = Body(default_factory=schemas.ReasonIn)) -> Any:
    """Cancel a job.

    A bot that holds it learns so at its next heartbeat or report.
    """
    return _operate(request, Verb.CANCEL, lifecycle.cancel, job_id_in(job_id), data.reason)


@router.post("/jobs/{job_id}/retry", response=schemas.ChangeOut)
@refuses(NotRetryable, KeyTaken)
def retry(request: HttpRequest, job_id: str, data: schemas.ReasonIn = Body(default_factory=schemas.ReasonIn)) -> Any:
    """Retry a failed or cancelled job.

    It is pending again, with all its attempts before it.
    """
    return _operate(request, Verb.RETRY, lifecycle.retry, job_id_in(job_id), data.reason)


@router.patch("/jobs/{job_id}", response=schemas.JobOut)
@refuses(NotEditable)
def edit(request: HttpRequest, job_id: str, data: schemas.EditIn) -> Any:
    """Edit a pending job: when it is due, or its payload.

    What is left out stays. A new payload needs the permission to see payloads, too.
    """
    number = job_id_in(job_id)
    operation = OPERATIONS[Verb.EDIT]
    seeing = [payloads.PERMISSION] if "payload" in data.model_fields_set else []
    require(request, operation.permission, *seeing, scope=Verb.EDIT, kinds=())
    user = require(request, scope=Verb.EDIT, kinds=[find(number).kind_id])
    edited = Edited.to(data.run_at, *([data.payload] if seeing else []))
    lifecycle.edit([number], edited=edited, by=By.operator(audited(request)), reason=data.reason)
    job = find(number)
    if job.status not in operation.sources:
        raise NotEditable(f"Job {number} is {job.status}; {operation.rule}.", job_id=number, job_status=job.status)
    return job_out(job, user)


def _operate(
    request: HttpRequest, verb: Verb, carry_out: Callable[..., list[Change]], job_id: int, reason: str
) -> dict[str, Any]:
    """Do what an operator asks for one job: a `ChangeOut`. The verb's refusal when the job is in no state for it."""
    operation = OPERATIONS[verb]
    require(request, operation.permission, scope=verb, kinds=())
    if key_of(request).kinds:
        require(request, scope=verb, kinds=[find(job_id).kind_id])
    changes = carry_out([job_id], by=By.operator(audited(request)), reason=reason)
    if not changes:
        status = find(job_id).status
        if verb == Verb.RETRY and status in operation.sources:
            raise KeyTaken(f"Job {job_id} would take its key again, and another job has it.", job_id=job_id)
        raise operation.refusal(f"Job {job_id} is {status}; {operation.rule}.", job_id=job_id, job_status=status)
    (change,) = changes
    held = f"; bot {change.bot_name} held it" if change.bot_name else ""
    return {
        "status": operation.past,
        "job_id": job_id,
        "bot_id": change.bot,
        "previous_status": change.previous_status,
        "message": f"Job {job_id} was {change.previous_status} and is {change.status} now{held}.",
    }
