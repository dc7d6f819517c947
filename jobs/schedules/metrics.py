"""The metrics of schedules. Like all of `/metrics`, they come from the database."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from jobs.schedules.statements import run


def collect() -> Iterator[Metric]:
    """How many schedules there are, how late the latest is, and how many were missed."""
    (row,) = run("counted")
    schedules = GaugeMetricFamily("jobsite_schedules", "Schedules by state.", labels=["state"])
    for state in ("active", "paused", "ended"):
        schedules.add_metric([state], row[state])
    yield schedules
    late = float(row["late"] or 0)
    yield GaugeMetricFamily("jobsite_schedule_late_seconds", "How long a moment has been due.", value=late)
    yield GaugeMetricFamily("jobsite_schedules_missed", "Schedules whose last moment was missed.", value=row["missed"])
