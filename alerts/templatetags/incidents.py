"""Template tag for Home: incidents and stuck jobs as one list, and whether the sweep runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django import template
from django.http import HttpRequest

from alerts.delivery import held
from alerts.incidents import sweep_late
from alerts.models import Incident
from alerts.states import Cause
from bots.models import Bot
from jobs.lists.home import Needs
from jobs.lists.stuck import Group

register = template.Library()

#: The most incidents of a sort shown on Home that have no stuck jobs. The list has them all.
MAX_SHOWN = 8


@dataclass
class Entry:
    """One thing on Home's list: an incident, if there is one, and the stuck jobs and bots that it is about."""

    incident: Incident | None = None
    groups: list[Group] = field(default_factory=list)
    lost: Sequence[Bot] = ()
    quarantined: Sequence[Bot] = ()

    @property
    def bare(self) -> bool:
        """Whether there is nothing but the incident."""
        return not (self.groups or self.lost or self.quarantined)

    @property
    def headed(self) -> bool:
        """Whether the incident has a line of its own, above several groups."""
        return self.incident is not None and (self.bare or len(self.groups) != 1)


@register.simple_tag
def open_incidents(request: HttpRequest, needs: Needs) -> dict[str, Any]:
    """What needs an operator, the worst first; acknowledged incidents apart, and alerts that are held back.

    Three queries. Who may see no incidents sees stuck jobs and bots alone.
    """
    user = request.user
    if not user.has_perm("alerts.view_incident"):
        return {"entries": _entries(needs, []), "taken": []}
    rows = list(Incident.objects.open().by_urgency()[: 2 * MAX_SHOWN + 1])
    sweep = sweep_late.status()
    entries = _entries(needs, rows)
    bare = [entry for entry in entries if entry.bare]
    return {
        "entries": [entry for entry in entries if not entry.bare] + bare[:MAX_SHOWN],
        "taken": [row for row in rows if row.acknowledged_at is not None and not _shown(row, entries)][:MAX_SHOWN],
        "more": len(bare) > MAX_SHOWN or len(rows) > 2 * MAX_SHOWN,
        "sweep": sweep,
        # Shown at once, even before the incident is open.
        "unswept": sweep.overdue and not any(row.cause == Cause.UNSWEPT for row in rows),
        "held": held.held(),
        "may_send_held": user.has_perm("alerts.send_held_delivery"),
        "may_acknowledge": user.has_perm("alerts.acknowledge_incident"),
    }


def _shown(incident: Incident, entries: Sequence[Entry]) -> bool:
    return any(entry.incident is incident for entry in entries)


def _entries(needs: Needs, incidents: Sequence[Incident]) -> list[Entry]:
    """An entry for each incident with what it is about, and one for each thing that has none yet, the worst first."""
    found: list[Entry] = []
    for group in needs.stuck.shown:
        about = next((row for row in incidents if row.cause == Cause.STUCK and _is_about(row, group.kind)), None)
        entry = next((entry for entry in found if about is not None and entry.incident is about), None)
        if entry is None:
            entry = Entry(about)
            found.append(entry)
        entry.groups.append(group)
    if needs.lost:
        found.append(Entry(lost=needs.lost))
    if needs.quarantined:
        about = next((row for row in incidents if row.cause == Cause.QUARANTINED), None)
        found.append(Entry(about, quarantined=needs.quarantined))
    rest = [row for row in incidents if row.acknowledged_at is None and not _shown(row, found)]
    if needs.lost:
        # Bots that are without the job they hung on are a line already.
        rest = [row for row in rest if row.cause != Cause.STUCK]
    return found + [Entry(row) for row in rest]


def _is_about(incident: Incident, kind: str) -> bool:
    return incident.kind == kind or kind in incident.kinds
