"""Time passes for incidents: their moments move into the past, as `tests.cast.make_older` does for jobs."""

from typing import Any

from django.db import connection

from alerts.incidents import reconcile
from alerts.incidents.reconcile import Reconciliation
from alerts.models import Incident, IncidentNote
from jobs.sweep.run import sweep

MOMENTS = {
    "alerts_incident": ("opened_at", "changed_at", "back_at", "acknowledged_at", "resolved_at", "clear_since"),
    "alerts_incidentbot": ("since", "until", "clear_since"),
    "alerts_incidentnote": ("at",),
}


def minutes_pass(minutes: float) -> None:
    """All that is known of incidents is that much older now."""
    with connection.cursor() as cursor:
        for table, names in MOMENTS.items():
            moved = ", ".join(f"{name} = {name} - %(by)s * interval '1 minute'" for name in names)
            cursor.execute(f"UPDATE {table} SET {moved}", {"by": minutes})


def look() -> Reconciliation:
    """One pass over the house as it is."""
    seen = reconcile.reconcile()
    assert seen is not None
    return seen


def sweep_and_look() -> Reconciliation:
    """What `sweep_stuck` does."""
    sweep()
    return look()


def an_incident(**fields: Any) -> Incident:
    """An incident as a pass might have opened it; the open one about the same where there is one."""
    values = {"cause": "stuck", "about": "sum", "kind": "sum", "severity": "warning", "title": "ada is stuck"} | fields
    values |= {"reason": "ada: silent for 3 m on sum job 17, limit 2 m"} | fields
    there = Incident.objects.open().filter(cause=values["cause"], about=values["about"]).first()
    if there is not None:
        return there
    incident = Incident.objects.create(**values)
    IncidentNote.objects.create(incident=incident, text=f"Opened: {incident.reason}")
    return incident


def the_one(cause: str | None = None) -> Incident:
    """The only incident there is (of this cause)."""
    rows = Incident.objects.all() if cause is None else Incident.objects.filter(cause=cause)
    return rows.get()


def notes_of(incident: Incident) -> list[str]:
    """Its history, a line each."""
    return list(IncidentNote.objects.filter(incident=incident).values_list("text", flat=True))
