"""What people did, and taking back some of it."""

from datetime import datetime
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from ninja import Body, Router
from pydantic import BaseModel

from bots.acts import Act, Via
from bots.audit import caller as audited
from bots.models import AuditEntry
from jobs import lifecycle
from jobs.api import schemas
from jobs.api.auth import key_of, people_only, require
from jobs.errors import NotTakenBack
from jobs.lifecycle import By
from jobs.lists.audit import about_job
from jobs.models import Job
from jobs.states import Verb
from jobs.transitions import OPERATIONS
from jobsite.lib.cursor_page import CursorPage
from jobsite.lib.declared import refuses
from jobsite.lib.errors import Invalid
from jobsite.lib.params import id_in, period_in, takes, text_in

router = Router(auth=people_only, tags=["Audit"])

#: Filters by a text that is compared as it is, by parameter: the column.
TEXTS = {"by": "by", "key": "key", "object": "object_type", "object_id": "object_id", "request_id": "request_id"}
#: Filters by one of a list.
CHOICES = {"verb": Act, "via": Via}


class AuditEntryOut(BaseModel):
    """One act. `by` is empty for a command; `object_id` for an act on several jobs, which `after` lists.

    `act`: the number that entries of the same act share, where it was done in several steps.
    """

    id: int
    at: datetime
    by: str
    via: Via
    key: str
    verb: Act
    object: str
    object_id: str
    object_name: str
    before: dict[str, Any]
    after: dict[str, Any]
    reason: str
    request_id: str
    act: int | None


class AuditOut(BaseModel):
    audit: list[AuditEntryOut]
    next_cursor: str | None


class TakenBackOut(BaseModel):
    """`ids`: jobs that are as before. `left`: how many others this part of the act was about."""

    ids: list[int]
    left: int
    next_cursor: str | None


@router.get("/audit", response=AuditOut)
@takes(
    "since",
    "until",
    "limit",
    "cursor",
    by=(str, "Only of this user."),
    key=(str, "Only by the API key that begins so."),
    verb=(Act, "Only these acts."),
    via=(Via, "Only what came in this way."),
    object=(str, "Only about this sort of thing: `bot`, `job`, `kind`, `schedule`, `key`, `channel`, `user` …"),
    object_id=(str, "Only about the thing of this id; of a kind or schedule its name. With `object`."),
    request_id=(str, "Only of the call with this `X-Request-ID`."),
)
def audit(request: HttpRequest) -> Any:
    """List what people did, newest first."""
    require(request, "bots.view_auditentry")
    entries = AuditEntry.objects.filter(_asked(request)).order_by("-id")
    page = CursorPage.from_request(request)
    rows, next_cursor = page.cut(page.newest_first(entries)[: page.reads])
    return {"audit": [_out(row) for row in rows], "next_cursor": next_cursor}


@router.post("/audit/{entry_id}/take_back", response=TakenBackOut, operation_id="takeBackAct")
@refuses(NotTakenBack)
def take_back(
    request: HttpRequest, entry_id: str, data: schemas.TakeBackIn = Body(default_factory=schemas.TakeBackIn)
) -> Any:
    """Undo an act on jobs, within 24 hours.

    That is a cancel of jobs that nobody held, or a change of priority. Jobs to which something was done since are left
    alone. Of an act in several steps, which share an `act`, each call undoes one: repeat it with `next_cursor` as
    `cursor` until that is null.
    """
    operation = OPERATIONS[Verb.TAKE_BACK]
    require(request, operation.permission, scope=Act.TAKE_BACK, kinds=())
    entries = lifecycle.entries_of(lifecycle.reversible(id_in(entry_id, "act")))
    entry, *more = entries.filter(pk__gt=int(data.cursor or 0))[:2] or [None]
    if entry is None:
        return {"ids": [], "left": 0, "next_cursor": None}
    jobs = lifecycle.jobs_of(entry)
    if key_of(request).kinds:
        kinds = set(Job.objects.filter(pk__in=jobs).values_list("kind", flat=True))
        require(request, scope=Act.TAKE_BACK, kinds=kinds)
    changes = lifecycle.take_back(entry.pk, by=By.operator(audited(request)), reason=data.reason)
    next_cursor = str(entry.pk) if more else None
    return {"ids": [change.id for change in changes], "left": len(jobs) - len(changes), "next_cursor": next_cursor}


def _asked(request: HttpRequest) -> Q:
    found = Q()
    for name, choices in CHOICES.items():
        if value := request.GET.get(name):
            if value not in choices.values:
                raise Invalid.about(name, f"one of {', '.join(choices.values)}.")
            found &= Q(**{name: value})
    texts = {name: text_in(request, name, 200) for name in TEXTS}
    if texts["object"] == "job" and texts["object_id"]:
        found &= about_job(texts.pop("object_id"))
        del texts["object"]
    for name, text in texts.items():
        if text:
            found &= Q(**{TEXTS[name]: text})
    since, until = period_in(request)
    for lookup, at in (("at__gte", since), ("at__lt", until)):
        if at is not None:
            found &= Q(**{lookup: at})
    return found


def _out(entry: AuditEntry) -> dict[str, Any]:
    named = {name: getattr(entry, name) for name in AuditEntryOut.model_fields if name != "object"}
    return named | {"object": entry.object_type}
