"""`GET /audit`: what people did."""

from datetime import datetime
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from ninja import Router
from pydantic import BaseModel

from bots.acts import Act, Via
from bots.models import AuditEntry
from jobs.api.auth import people_only, require
from jobs.lists.audit import about_job
from jobsite.lib.cursor_page import CursorPage
from jobsite.lib.errors import Invalid
from jobsite.lib.params import period_in, takes, text_in

router = Router(auth=people_only, tags=["Audit"])

#: Filters by a text that is compared as it is, by parameter: the column.
TEXTS = {"by": "by", "key": "key", "object": "object_type", "object_id": "object_id", "request_id": "request_id"}
#: Filters by one of a list.
CHOICES = {"verb": Act, "via": Via}


class AuditEntryOut(BaseModel):
    """One act. `by` is empty for a command; `object_id` for an act on several jobs, which `after` lists."""

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


class AuditOut(BaseModel):
    audit: list[AuditEntryOut]
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
