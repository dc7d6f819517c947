"""Calls about error groups: failures of one kind whose errors are alike."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Body, Router

from bots.acts import READ, Act
from bots.audit import caller as audited
from bots.models import NAME_LENGTH
from jobs import payloads
from jobs.api import schemas
from jobs.api.auth import key_of, people_only, require
from jobs.error_groups import acts
from jobs.lifecycle import By
from jobs.models import ErrorGroup
from jobs.states import ErrorStatus, Verb
from jobs.transitions import OPERATIONS
from jobsite.lib.clock import database_now
from jobsite.lib.cursor_page import CursorPage
from jobsite.lib.errors import Invalid, NotFound
from jobsite.lib.params import id_in, takes, text_in

router = Router(auth=people_only, tags=["Errors"])
#: Who sees error groups sees what jobs carry.
SEEING = ("jobs.view_errorgroup", payloads.PERMISSION)


def _out(group: ErrorGroup, now: datetime) -> dict[str, Any]:
    fields = [name for name in schemas.ErrorGroupOut.model_fields if name != "trend"]
    return {name: getattr(group, name) for name in fields} | {"trend": group.trend(now)}


def _find(request: HttpRequest, group_id: str, *permissions: str, scope: str = READ) -> ErrorGroup:
    """The group, if the caller has these permissions for its kind. NotFound where there is none."""
    permissions = (*SEEING, *permissions)
    require(request, *permissions, scope=scope, kinds=())
    group = ErrorGroup.objects.filter(pk=id_in(group_id, "error group")).first()
    if group is None:
        raise NotFound(f"There is no error group {group_id}.")
    require(request, *permissions, scope=scope, kinds=[group.kind])
    return group


@router.get("/error-groups", response=schemas.ErrorGroupsOut)
@takes(
    "limit",
    "cursor",
    status=(ErrorStatus, "Only groups of this status."),
    kind=(str, "Only groups of this kind."),
)
def error_groups(request: HttpRequest) -> Any:
    """List error groups, those that began last first."""
    kind = text_in(request, "kind", NAME_LENGTH)
    kinds = [kind] if kind else key_of(request).kinds
    require(request, *SEEING, kinds=kinds)
    found = ErrorGroup.objects.order_by("-id")
    if kinds:
        found = found.filter(kind__in=kinds)
    if status := request.GET.get("status"):
        if status not in ErrorStatus.values:
            raise Invalid.about("status", f"one of {', '.join(ErrorStatus.values)}.")
        found = found.filter(status=status)
    page = CursorPage.from_request(request)
    rows, next_cursor = page.cut(page.newest_first(found)[: page.reads])
    now = database_now()
    return {"error_groups": [_out(row, now) for row in rows], "next_cursor": next_cursor}


@router.get("/error-groups/{group_id}", response=schemas.ErrorGroupOut, operation_id="getErrorGroup")
def error_group(request: HttpRequest, group_id: str) -> Any:
    """Show an error group."""
    return _out(_find(request, group_id), database_now())


@router.post("/error-groups/{group_id}/resolve", response=schemas.ErrorGroupOut, operation_id="resolveErrorGroup")
def resolve(
    request: HttpRequest, group_id: str, data: schemas.ReasonIn = Body(default_factory=schemas.ReasonIn)
) -> Any:
    """Resolve an error group.

    Once it fails again it is open again, and an incident opens. Of one that is resolved nothing changes.
    """
    return _set(request, group_id, ErrorStatus.RESOLVED, data.reason)


@router.post("/error-groups/{group_id}/ignore", response=schemas.ErrorGroupOut, operation_id="ignoreErrorGroup")
def ignore(request: HttpRequest, group_id: str, data: schemas.ReasonIn = Body(default_factory=schemas.ReasonIn)) -> Any:
    """Ignore an error group.

    It is counted, and opens no incident.
    """
    return _set(request, group_id, ErrorStatus.IGNORED, data.reason)


def _set(request: HttpRequest, group_id: str, status: ErrorStatus, reason: str) -> dict[str, Any]:
    group = _find(request, group_id, "jobs.resolve_errorgroup", scope=acts.ACTS[status])
    acts.set_status([group.pk], status, by=audited(request), reason=reason)
    group.refresh_from_db()
    return _out(group, database_now())


@router.post("/error-groups/{group_id}/retry", response=schemas.RetriedOut, operation_id="retryErrorGroup")
def retry(
    request: HttpRequest, group_id: str, data: schemas.RetryGroupIn = Body(default_factory=schemas.RetryGroupIn)
) -> Any:
    """Retry the failed jobs of an error group, the newest first.

    Repeat it while the answer has `more`.
    """
    group = _find(request, group_id, OPERATIONS[Verb.RETRY].permission, scope=Act.RETRY)
    done = acts.retry(group, most=data.most, by=By.operator(audited(request)), reason=data.reason)
    return {"retried": done.jobs, "key_taken": done.keys_taken, "more": done.more}
