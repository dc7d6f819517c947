"""Who may see what jobs carry, which is payloads, results and errors, and jobs and events as the others see them."""

from collections.abc import Iterable
from copy import copy
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from jobs.models import Job, JobEvent
from jobs.states import Actor, Verb

PERMISSION = "jobs.view_payload"
#: The fields of a job that only those see who have the permission.
FIELDS = ("payload", "result", "error")
#: The same of an event's `detail`.
EVENT_FIELDS = ("result", "error")
#: Stands in place of an error for people.
NOTICE = f"hidden: this needs the permission {PERMISSION}"


def may_see(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Whether this user may see payloads, results and errors."""
    return bool(user.has_perm(PERMISSION))  # type: ignore[union-attr]


def job_for(user: AbstractBaseUser | AnonymousUser, job: Job) -> Job:
    """The job as this user may see it: itself, or a copy that has none of `FIELDS`, and must not be saved."""
    if may_see(user):
        return job
    bare = copy(job)
    for name, value in {"payload": None, "result": None, "error": NOTICE if job.error else ""}.items():
        setattr(bare, name, value)
    return bare


def events_for(user: AbstractBaseUser | AnonymousUser, events: Iterable[JobEvent]) -> list[JobEvent]:
    """The events as this user may see them. A bot's failure has the error as its reason."""
    return list(events) if may_see(user) else [_bare(event) for event in events]


def _bare(event: JobEvent) -> JobEvent:
    bare = copy(event)
    bare.reason = shown_reason(event)
    # A list defers the detail, and does not show it.
    if "detail" not in event.get_deferred_fields():
        bare.detail = {name: value for name, value in event.detail.items() if name not in EVENT_FIELDS}
    return bare


def shown_reason(event: JobEvent) -> str:
    """An event's reason, for those who see no errors."""
    of_a_bot = event.actor == Actor.BOT and event.verb in (Verb.FAIL, Verb.LATE)
    return NOTICE if of_a_bot and event.reason else event.reason


def values_for(user: AbstractBaseUser | AnonymousUser, job: Job) -> dict[str, Any]:
    """The values of `FIELDS` for programs, null where they are hidden, and `hidden`, the names of those that are."""
    if may_see(user):
        return {name: getattr(job, name) for name in FIELDS} | {"hidden": []}
    return dict.fromkeys(FIELDS) | {"hidden": list(FIELDS)}
