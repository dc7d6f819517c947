"""Prometheus metrics of a bot, with prometheus-client: the extra `metrics`."""

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from .attempts import Ended
from .job import Job
from .leases import Leases

# Seconds: from handlers that take a moment to those that take an hour.
BUCKETS = (0.005, 0.02, 0.1, 0.5, 1, 5, 15, 60, 300, 1800, 3600)


class Metrics:
    """Counts the jobs of one bot in `registry`. What serves it is the program's choice."""

    def __init__(self, registry: CollectorRegistry | None, leases: Leases) -> None:
        to = registry or REGISTRY
        self._ended = Counter("jobsite_bot_jobs", "Jobs whose handler ended.", ["kind", "outcome"], registry=to)
        self._seconds = Histogram(
            "jobsite_bot_job_seconds", "How long handlers ran.", ["kind"], buckets=BUCKETS, registry=to
        )
        self._running = Gauge("jobsite_bot_jobs_running", "Handlers that run now.", ["kind"], registry=to)
        slots = Gauge("jobsite_bot_slots", "Slots of the bot: all, free, lost.", ["state"], registry=to)
        slots.labels("all").set_function(lambda: leases.slots().all)
        slots.labels("free").set_function(lambda: leases.slots().free)
        slots.labels("lost").set_function(lambda: leases.slots().lost)
        held = Gauge("jobsite_bot_jobs_held", "Jobs held, those not reported yet included.", registry=to)
        held.set_function(lambda: len(leases))

    def on_start(self, job: Job) -> None:
        self._running.labels(job.kind).inc()

    def on_end(self, job: Job, ended: Ended) -> None:
        self._running.labels(job.kind).dec()
        self._ended.labels(job.kind, ended.outcome).inc()
        self._seconds.labels(job.kind).observe(ended.seconds)
