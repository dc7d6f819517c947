"""The answers about incidents.

Made from the OpenAPI document by `python -m tests.contract.surface`: do not change it by hand.
"""

from datetime import datetime
from typing import Literal, TypedDict

IncidentStatus = Literal["open", "acknowledged", "resolved"]
Cause = Literal[
    "stuck",
    "quarantined",
    "down",
    "kind_hangs",
    "slots_lost",
    "waiting",
    "failing",
    "error_new",
    "error_back",
    "refused",
    "schedule_missed",
    "unswept",
]
Severity = Literal["warning", "critical"]


class IncidentOut(TypedDict):
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


class IncidentsOut(TypedDict):
    incidents: list[IncidentOut]
    next_cursor: str | None


class IncidentBotOut(TypedDict):
    bot_id: int | None
    name: str
    job_id: int | None
    reason: str
    since: datetime
    until: datetime | None


class IncidentNoteOut(TypedDict):
    at: datetime
    by: str
    text: str


class WholeIncidentOut(IncidentOut):
    """With its bots, former ones included, and its history; the newest 1000 of each."""

    bots: list[IncidentBotOut]
    notes: list[IncidentNoteOut]


class AcknowledgedOut(TypedDict):
    incident_id: int
    status: IncidentStatus
    acknowledged_by: str
    message: str
