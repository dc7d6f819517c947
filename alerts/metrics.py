"""What `/metrics` says of incidents and of what is on its way to people. Partial indexes answer, so history is free."""

from collections.abc import Iterator

from django.db.models import Count, Q
from prometheus_client.core import GaugeMetricFamily, Metric

from alerts.models import Channel, Delivery, Incident
from alerts.states import Cause, DeliveryStatus, Severity


def collect() -> Iterator[Metric]:
    """All families, with every series that there can be."""
    rows = Incident.objects.open().order_by().values_list("cause", "severity")
    counts = rows.annotate(n=Count("pk"), unacknowledged=Count("pk", filter=Q(acknowledged_at=None)))
    found = {(cause, severity): (n, unacknowledged) for cause, severity, n, unacknowledged in counts}
    opened = GaugeMetricFamily("jobsite_incidents_open", "Open incidents.", labels=["cause", "severity"])
    new = GaugeMetricFamily(
        "jobsite_incidents_unacknowledged", "Open incidents that nobody has taken on.", labels=["cause", "severity"]
    )
    for cause in Cause.values:
        for severity in Severity.values:
            n, unacknowledged = found.get((cause, severity), (0, 0))
            opened.add_metric([cause, severity], n)
            new.add_metric([cause, severity], unacknowledged)
    yield opened
    yield new
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
