"""Template tag for Home: open incidents, and whether the sweep runs."""

from typing import Any

from django import template
from django.http import HttpRequest

from alerts.delivery import held
from alerts.incidents import sweep_late
from alerts.models import Incident
from alerts.states import Cause

register = template.Library()

#: The most incidents shown on Home. The list has them all.
MAX_SHOWN = 8


@register.simple_tag
def open_incidents(request: HttpRequest) -> dict[str, Any]:
    """Open incidents, acknowledged ones apart, the sweep's status, and alerts that are held back. Three queries."""
    user = request.user
    if not user.has_perm("alerts.view_incident"):
        return {"allowed": False}
    rows = list(Incident.objects.open().by_urgency()[: 2 * MAX_SHOWN + 1])
    sweep = sweep_late.status()
    fresh = [row for row in rows if row.acknowledged_at is None]
    return {
        "allowed": True,
        "fresh": fresh[:MAX_SHOWN],
        "taken": [row for row in rows if row.acknowledged_at is not None][:MAX_SHOWN],
        "more": len(fresh) > MAX_SHOWN or len(rows) > 2 * MAX_SHOWN,
        "sweep": sweep,
        # Shown at once, even before the incident is open.
        "unswept": sweep.overdue and not any(row.cause == Cause.UNSWEPT for row in rows),
        "held": held.held(),
        "may_send_held": user.has_perm("alerts.send_held_delivery"),
        "may_acknowledge": user.has_perm("alerts.acknowledge_incident"),
    }
