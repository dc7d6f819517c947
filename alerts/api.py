"""API of incidents for operators: list, show, acknowledge. Mounted under `/api/v1/` by `jobsite.urls`."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Body, Router
from pydantic import BaseModel, Field

from alerts.errors import NotOpen
from alerts.incidents import acknowledge as incidents_acknowledge
from alerts.models import Incident
from alerts.states import Cause, IncidentStatus, Severity
from bots.acts import Act
from bots.audit import caller as audited
from jobs.api.auth import people_only, require
from jobsite.lib import errors
from jobsite.lib.cursor_page import CursorPage
from jobsite.lib.declared import refuses
from jobsite.lib.params import Input, id_in, takes

router = Router(auth=people_only, tags=["Incidents"])

#: The most bots and notes of an incident in a response.
MAX_ROWS = 1000


class IncidentOut(BaseModel):
    """`kinds`: of an incident about many. `clear_since`: its cause is gone since then; it resolves if that lasts."""

    id: int
    status: IncidentStatus
    cause: Cause
    kind: str
    kinds: list[str]
    severity: Severity
    title: str
    reason: str
    state: int
    opened_at: datetime
    changed_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str
    resolved_at: datetime | None
    clear_since: datetime | None


class IncidentBotOut(BaseModel):
    bot_id: int | None
    name: str
    job_id: int | None
    reason: str
    since: datetime
    until: datetime | None


class IncidentNoteOut(BaseModel):
    at: datetime
    by: str
    text: str


class WholeIncidentOut(IncidentOut):
    """With its bots, former ones included, and its history; the newest 1000 of each."""

    bots: list[IncidentBotOut]
    notes: list[IncidentNoteOut]


class IncidentsOut(BaseModel):
    incidents: list[IncidentOut]
    next_cursor: str | None


class AcknowledgeIn(Input):
    remark: str = Field("", max_length=incidents_acknowledge.REMARK_LENGTH)


class AcknowledgedOut(BaseModel):
    incident_id: int
    status: IncidentStatus
    acknowledged_by: str
    message: str


def _out(row: Any, shape: type[BaseModel]) -> dict[str, Any]:
    """The fields of `shape`, read from the row."""
    return {name: getattr(row, name) for name in shape.model_fields}


def find(incident_id: str) -> Incident:
    """Return the incident with this id. Raises NotFound."""
    number = id_in(incident_id, "incident")
    incident = Incident.objects.filter(pk=number).first()
    if incident is None:
        raise errors.NotFound(f"There is no incident {number}.")
    return incident


@router.get("/incidents", response=IncidentsOut)
@takes("limit", "cursor", status=(IncidentStatus, "Only incidents of this status."))
def listed(request: HttpRequest) -> Any:
    """List incidents, newest first."""
    require(request, "alerts.view_incident")
    incidents = Incident.objects.order_by("-id")
    if status := request.GET.get("status"):
        if status not in IncidentStatus.values:
            raise errors.Invalid.about("status", f"one of {', '.join(IncidentStatus.values)}.")
        incidents = incidents.of_status(IncidentStatus(status))
    page = CursorPage.from_request(request)
    rows, next_cursor = page.cut(page.newest_first(incidents)[: page.reads])
    return {"incidents": [_out(row, IncidentOut) for row in rows], "next_cursor": next_cursor}


@router.get("/incidents/{incident_id}", response=WholeIncidentOut)
def incident(request: HttpRequest, incident_id: str) -> Any:
    """Show an incident, with its bots and its history."""
    require(request, "alerts.view_incident")
    row = find(incident_id)
    bots, notes = row.bots.order_by("-pk")[:MAX_ROWS], row.notes.order_by("-pk")[:MAX_ROWS]
    return _out(row, IncidentOut) | {
        "bots": [_out(bot, IncidentBotOut) for bot in reversed(bots)],
        "notes": [_out(note, IncidentNoteOut) for note in reversed(notes)],
    }


@router.post("/incidents/{incident_id}/acknowledge", response=AcknowledgedOut)
@refuses(NotOpen)
def acknowledge(
    request: HttpRequest, incident_id: str, data: AcknowledgeIn = Body(default_factory=AcknowledgeIn)
) -> Any:
    """Acknowledge an incident.

    Somebody works on it, and its reminders stop. One that is already acknowledged stays as it is.
    """
    require(request, "alerts.acknowledge_incident", scope=Act.ACKNOWLEDGE)
    before = find(incident_id)
    taken = incidents_acknowledge.acknowledge([before.pk], by=audited(request), remark=data.remark)
    now = taken[0] if taken else find(incident_id)
    if now.status == IncidentStatus.RESOLVED:
        raise NotOpen(f"Incident {now.pk} has resolved; only an open one can be acknowledged.", incident_id=now.pk)
    done = "is acknowledged" if taken else f"was acknowledged before, by {now.acknowledged_by}"
    return {
        "incident_id": now.pk,
        "status": now.status,
        "acknowledged_by": now.acknowledged_by,
        "message": f"Incident {now.pk} {done}.",
    }
