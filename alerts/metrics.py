"""What `/metrics` says of incidents and of what is on its way to people. Partial indexes answer, so history is free."""

from collections.abc import Iterator
from itertools import product

from django.db.models import Count, Q
from prometheus_client.core import GaugeMetricFamily, Metric

from alerts.models import Channel, Delivery, Incident
from alerts.states import Cause, DeliveryStatus, Severity


def collect() -> Iterator[Metric]:
    """All families, with every series that there can be."""
    rows = Incident.objects.open().order_by().values_list("cause", "severity")
    open_now = rows.annotate(
        waits=Count("pk", filter=Q(acknowledged_at=None)), taken=Count("pk", filter=Q(acknowledged_at__isnull=False))
    )
    counts = {(cause, severity): (waits, taken) for cause, severity, waits, taken in open_now}
    incidents = GaugeMetricFamily(
        "jobsite_incidents", "Incidents that have not resolved.", labels=["cause", "severity", "status"]
    )
    for cause, severity in product(Cause.values, Severity.values):
        waits, taken = counts.get((cause, severity), (0, 0))
        incidents.add_metric([cause, severity, "open"], waits)
        incidents.add_metric([cause, severity, "acknowledged"], taken)
    yield incidents
    yield GaugeMetricFamily(
        "jobsite_alerts_waiting",
        "Messages in the outbox that have not been sent.",
        value=Delivery.objects.filter(status=DeliveryStatus.WAITING).count(),
    )
    yield GaugeMetricFamily(
        "jobsite_channels_failing",
        "Channels in use whose last message could not be sent.",
        value=Channel.objects.filter(enabled=True, failing_since__isnull=False).count(),
    )
