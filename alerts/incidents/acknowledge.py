"""Acknowledge incidents."""

from collections.abc import Iterable

from django.db import transaction
from django.db.models.functions import Now

from alerts.models import Incident, IncidentNote

#: The longest remark.
REMARK_LENGTH = 500


def acknowledge(ids: Iterable[int], *, by: str, remark: str = "") -> list[Incident]:
    """Acknowledge these incidents, which ends their reminders. Returns those that were open and unacknowledged.

    `by`: the user's name. `remark`: added to the notes, cut at `REMARK_LENGTH`.
    """
    text = f"Acknowledged: {remark.strip()[:REMARK_LENGTH]}" if remark.strip() else "Acknowledged."
    with transaction.atomic():
        unacknowledged = Incident.objects.unacknowledged().filter(pk__in=list(ids))
        rows = unacknowledged.order_by("pk").select_for_update(no_key=True)
        taken = list(rows.values_list("pk", flat=True))
        Incident.objects.filter(pk__in=taken).update(acknowledged_at=Now(), acknowledged_by=by)
        IncidentNote.objects.bulk_create([IncidentNote(incident_id=pk, by=by, text=text) for pk in taken])
    return list(Incident.objects.filter(pk__in=taken).order_by("pk"))
