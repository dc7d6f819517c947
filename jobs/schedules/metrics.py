"""The metrics of schedules. Like all of `/metrics`, they come from the database."""

from collections.abc import Iterator

from django.db.models import Count, Q
from prometheus_client.core import GaugeMetricFamily, Metric

from jobs.models import Schedule
from jobs.schedules import ledger
from jobs.schedules.statements import run


def collect() -> Iterator[Metric]:
    """How many schedules there are, how late the latest is, and how many were missed."""
    paused, ended = Q(paused=True), Q(paused=False, next_at=None)
    states = {"active": ~paused & ~ended, "paused": paused, "ended": ended}
    counted = Schedule.objects.aggregate(**{f"are_{state}": Count("pk", filter=q) for state, q in states.items()})
    schedules = GaugeMetricFamily("jobsite_schedules", "Schedules by state.", labels=["state"])
    for state in states:
        schedules.add_metric([state], counted[f"are_{state}"])
    yield schedules
    ahead = run("ahead")[0]["ahead"]
    late = 0.0 if ahead is None else max(0.0, -float(ahead))
    yield GaugeMetricFamily("jobsite_schedule_late_seconds", "How long a moment has been due.", value=late)
    missed = ledger.missed().count()
    yield GaugeMetricFamily("jobsite_schedules_missed", "Schedules whose last moment was missed.", value=missed)
