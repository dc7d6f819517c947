"""What Home shows of incidents, and whether the sweep runs."""

from typing import Any

from django import template
from django.http import HttpRequest

from alerts.incidents import sweep_late
from alerts.models import Incident
from alerts.states import Cause

register = template.Library()

#: How many incidents Home names; the list behind it has them all.
NAMED = 8


@register.simple_tag
def open_incidents(request: HttpRequest) -> dict[str, Any]:
    """Open incidents, those that somebody has taken on apart; and how it stands with the sweep. Two queries."""
    user = request.user
    if not user.has_perm("alerts.view_incident"):
        return {"allowed": False}
    rows = list(Incident.objects.open().by_urgency()[: 2 * NAMED + 1])
    sweep = sweep_late.standing()
    fresh = [row for row in rows if row.acknowledged_at is None]
    return {
        "allowed": True,
        "fresh": fresh[:NAMED],
        "taken": [row for row in rows if row.acknowledged_at is not None][:NAMED],
        "more": len(fresh) > NAMED or len(rows) > 2 * NAMED,
        "sweep": sweep,
        # Said at once, also before somebody has opened the incident.
        "unswept": sweep.late and not any(row.cause == Cause.UNSWEPT for row in rows),
        "may_acknowledge": user.has_perm("alerts.acknowledge_incident"),
    }
