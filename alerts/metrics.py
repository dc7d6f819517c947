"""Metrics of incidents and notifications for `/metrics`. Read from partial indexes, so history costs nothing."""

from collections.abc import Iterator
from itertools import product

from django.db.models import Count, Q
from prometheus_client.core import GaugeMetricFamily, Metric

from alerts.models import Channel, Delivery, Incident
from alerts.states import Cause, DeliveryStatus, Severity
from jobs.stats.metrics import gauge


def collect() -> Iterator[Metric]:
    """Yield all metric families, each with all its possible series."""
    rows = Incident.objects.open().order_by().values_list("cause", "severity")
    counts = rows.annotate(n=Count("pk"), unacknowledged=Count("pk", filter=Q(acknowledged_at=None)))
    numbers = {(cause, severity): (n, unacknowledged) for cause, severity, n, unacknowledged in counts}
    labels = ["cause", "severity"]
    every = {pair: numbers.get(pair, (0, 0)) for pair in product(Cause.values, Severity.values)}
    yield gauge("jobsite_incidents_open", "Open incidents.", labels, {pair: n for pair, (n, _) in every.items()})
    yield gauge(
        "jobsite_incidents_unacknowledged", "Open incidents that nobody has acknowledged.", labels,
        {pair: n for pair, (_, n) in every.items()},
    )  # fmt: skip
    yield GaugeMetricFamily(
        "jobsite_alerts_waiting",
        "Notifications in the outbox that have not been sent.",
        value=Delivery.objects.filter(status=DeliveryStatus.WAITING).count(),
    )
    yield GaugeMetricFamily(
        "jobsite_channels_failing",
        "Enabled channels whose last delivery failed.",
        value=Channel.objects.filter(enabled=True, failing_since__isnull=False).count(),
    )
