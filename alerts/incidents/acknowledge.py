"""Acknowledge incidents."""

from collections.abc import Iterable

from django.db import transaction
from django.db.models.functions import Now

from alerts.models import Incident, IncidentNote
from alerts.states import IncidentStatus
from bots import audit
from bots.acts import Act
from bots.audit import Who
from jobsite.lib import outcomes

#: The longest remark.
REMARK_LENGTH = 500


def acknowledge(ids: Iterable[int], *, by: Who, remark: str = "") -> list[Incident]:
    """Acknowledge these incidents, which ends their reminders. Returns those that were open and unacknowledged.

    `by`: who acknowledges. `remark`: added to the notes, cut at `REMARK_LENGTH`.
    """
    remark = remark.strip()[:REMARK_LENGTH]
    text = f"Acknowledged: {remark}" if remark else "Acknowledged."
    with transaction.atomic(), outcomes.before_commit():
        unacknowledged = Incident.objects.unacknowledged().filter(pk__in=list(ids))
        rows = unacknowledged.order_by("pk").select_for_update(no_key=True)
        taken = list(rows.values_list("pk", flat=True))
        Incident.objects.filter(pk__in=taken).update(acknowledged_at=Now(), acknowledged_by=by.name)
        IncidentNote.objects.bulk_create([IncidentNote(incident_id=pk, by=by.name, text=text) for pk in taken])
        incidents = list(Incident.objects.filter(pk__in=taken).order_by("pk"))
        status = {"status": IncidentStatus.OPEN}, {"status": IncidentStatus.ACKNOWLEDGED}
        subjects = [audit.subject(incident, *status) for incident in incidents]
        audit.record(Act.ACKNOWLEDGE, subjects, by=by, reason=remark)
    return incidents
