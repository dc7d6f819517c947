"""Delete old resolved incidents with their bots, notes and deliveries: a batch after each full sweep."""

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now

from alerts.models import Delivery, Incident
from alerts.states import DeliveryStatus

log = structlog.stdlib.get_logger("jobsite.alerts")

#: The most incidents deleted after one sweep, so that it stays short. Clears a backlog of years within a day.
MAX_PER_SWEEP = 200


def prune() -> int:
    """Delete incidents that resolved longer than `INCIDENTS_KEPT` ago. Returns how many; at most `MAX_PER_SWEEP`."""
    if not settings.INCIDENTS_KEPT:
        return 0
    with transaction.atomic():
        batch = _old().order_by("resolved_at")[:MAX_PER_SWEEP].select_for_update(skip_locked=True)
        ids = list(batch.values_list("pk", flat=True))
        if not ids:
            return 0
        Incident.objects.filter(pk__in=ids).delete()
    log.info(f"pruned {len(ids)} incidents", incidents=len(ids))
    return len(ids)


def _old() -> QuerySet[Incident]:
    """Incidents to delete: not those that may reopen, nor those with notifications still to be sent."""
    # Deliveries of a disabled channel keep nothing.
    waiting = Delivery.objects.filter(incident=OuterRef("pk"), status=DeliveryStatus.WAITING, channel__enabled=True)
    kept = max(settings.INCIDENTS_KEPT, settings.INCIDENT_REOPEN_WITHIN)
    return Incident.objects.filter(~Exists(waiting), resolved_at__lt=Now() - kept)
