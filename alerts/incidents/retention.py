"""Incidents that were over long ago go, with their bots, notes and deliveries: a batch after each full sweep."""

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now

from alerts.models import Delivery, Incident
from alerts.states import DeliveryStatus

log = structlog.stdlib.get_logger("jobsite.alerts")

#: How many incidents go after one sweep at most, so that it stays short. A backlog of years is gone within a day.
AT_ONCE = 200


def prune() -> int:
    """Delete incidents that resolved longer than `INCIDENTS_KEPT` ago. Returns how many; at most `AT_ONCE`."""
    if not settings.INCIDENTS_KEPT:
        return 0
    with transaction.atomic():
        batch = _old().order_by("resolved_at")[:AT_ONCE].select_for_update(skip_locked=True)
        ids = list(batch.values_list("pk", flat=True))
        if not ids:
            return 0
        Incident.objects.filter(pk__in=ids).delete()
    log.info(f"pruned {len(ids)} incidents", incidents=len(ids))
    return len(ids)


def _old() -> QuerySet[Incident]:
    """Those that may go. One that might come back, or of which a channel in use is still to be told, may not."""
    # A channel that is switched off is told nothing, and keeps nothing.
    untold = Delivery.objects.filter(incident=OuterRef("pk"), status=DeliveryStatus.WAITING, channel__enabled=True)
    kept = max(settings.INCIDENTS_KEPT, settings.INCIDENT_REOPEN_WITHIN)
    return Incident.objects.filter(~Exists(untold), resolved_at__lt=Now() - kept)
