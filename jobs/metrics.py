"""What `/metrics` says of jobs, bots and the sweep. All of it is the database's, so every process says the same."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import accumulate

from django.db.models import Count, Q
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from bots.models import Bot
from bots.states import BotStatus, HealthStatus
from jobs import figures, meter
from jobs.meter import OTHER, STEPS, Reading
from jobs.models import JobKind, SweepRun
from jobs.states import HELD, Actor, JobStatus, Meter
from jobs.stats import statements

#: The statuses that are counted as they are now; how many jobs ended is a counter.
LIVE = (JobStatus.PENDING, *HELD)

Readings = dict[tuple[str, str], Reading]


def collect() -> Iterator[Metric]:
    """All families, with every series that there can be: a counter that appears only at one is missed by `rate`."""
    kept = meter.readings()
    own = sorted(kind for kind, _ in kept[Meter.KIND])
    yield from _live(kept, own)
    kinds = [*own, OTHER]
    yield _counter("jobsite_claims", "Leases given to bots.", kept[Meter.CLAIMS], kinds)
    yield _counter(
        "jobsite_jobs_finished", "Jobs that ended.", kept[Meter.FINISHED], kinds, "status",
        (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED),
    )  # fmt: skip
    yield _counter(
        "jobsite_attempts_failed", "Attempts that failed, tried again or not.", kept[Meter.FAILED], kinds, "source",
        (Actor.BOT, Actor.SWEEP),
    )  # fmt: skip
    yield _counter(
        "jobsite_releases", "Leases that went back to pending, by who gave them back.", kept[Meter.RELEASED], kinds,
        "source", tuple(Actor),
    )  # fmt: skip
    yield _counter("jobsite_expiries", "Leases that the sweep ended.", kept[Meter.EXPIRED], kinds)
    yield _histogram("jobsite_job_wait_seconds", "From due to the last claim, of jobs that ended.", kept[Meter.WAIT])
    yield _histogram("jobsite_job_run_seconds", "From started to done, of jobs that succeeded.", kept[Meter.RUN])
    yield _moment("jobsite_counted_until_timestamp_seconds", "Until when the counters have counted.", meter.mark())
    yield from _bots()
    yield from _sweep()


def _live(kept: dict[Meter, Readings], own: list[str]) -> Iterator[Metric]:
    counts = meter.live(kept[Meter.PENDING], own)
    jobs = GaugeMetricFamily("jobsite_jobs", "Jobs that have not ended.", labels=["kind", "status"])
    for kind in (*own, OTHER):
        for status in LIVE:
            jobs.add_metric([kind, status], counts.get((kind, status), 0))
    yield jobs
    now = _now()
    ages = dict.fromkeys([*own, OTHER], 0.0)
    for row in figures.oldest_pending():
        if not row["paused"]:
            kind = row["kind"] if row["kind"] in ages else OTHER
            ages[kind] = max(ages[kind], (now - row["run_at"]).total_seconds())
    oldest = GaugeMetricFamily(
        "jobsite_oldest_pending_seconds", "How long the oldest due job of a kind has been due.", labels=["kind"]
    )
    for kind, age in ages.items():
        oldest.add_metric([kind], age)
    yield oldest
    paused = set(JobKind.objects.filter(paused=True, name__in=own).values_list("name", flat=True))
    family = GaugeMetricFamily("jobsite_kind_paused", "Whether a kind is paused: 1 or 0.", labels=["kind"])
    for kind in own:
        family.add_metric([kind], float(kind in paused))
    yield family


def _bots() -> Iterator[Metric]:
    status = GaugeMetricFamily("jobsite_bots", "Bots by status.", labels=["status"])
    health = GaugeMetricFamily("jobsite_bots_health", "Bots by health.", labels=["health"])
    counted: dict[str, int] = Bot.objects.aggregate(
        **{f"status_{value}": Count("pk", filter=Q(status=value)) for value in BotStatus.values},
        **{f"health_{value}": Count("pk", filter=Q(health_status=value)) for value in HealthStatus.values},
        paused=Count("pk", filter=Q(paused=True)),
        quarantined=Count("pk", filter=Q(quarantined_at__isnull=False)),
    )
    for value in BotStatus.values:
        status.add_metric([value], counted[f"status_{value}"])
    for value in HealthStatus.values:
        health.add_metric([value], counted[f"health_{value}"])
    yield status
    yield health
    yield GaugeMetricFamily("jobsite_bots_paused", "Bots that are paused.", value=counted["paused"])
    yield GaugeMetricFamily("jobsite_bots_quarantined", "Bots in quarantine.", value=counted["quarantined"])


def _sweep() -> Iterator[Metric]:
    run = SweepRun.objects.first()
    yield _moment(
        "jobsite_sweep_last_run_timestamp_seconds", "When the last full sweep ended.", run.finished_at if run else None
    )
    took = GaugeMetricFamily("jobsite_sweep_last_duration_seconds", "How long the last full sweep took.")
    if run:
        took.add_metric([], run.took)
    yield took


def _now() -> datetime:
    """The database's clock."""
    now: datetime = statements.run("now")[0]["now"]
    return now


def _moment(name: str, said: str, moment: datetime | None) -> Metric:
    # Nought, the year 1970, where it never was: an alert on the age then fires, as it should.
    return GaugeMetricFamily(name, said, value=moment.timestamp() if moment else 0)


def _counter(
    name: str, said: str, kept: Readings, kinds: Iterable[str], label: str = "", values: tuple[str, ...] = ("",)
) -> Metric:
    family = CounterMetricFamily(name, said, labels=["kind", label] if label else ["kind"])
    for kind in kinds:
        for value in values:
            reading = kept.get((kind, str(value)), Reading(0))
            family.add_metric([kind, str(value)] if label else [kind], reading.n)
    return family


def _histogram(name: str, said: str, kept: Readings) -> Metric:
    family = HistogramMetricFamily(name, said, labels=["kind"])
    for (kind, _), reading in sorted(kept.items()):
        sums = accumulate(reading.steps)
        buckets = [(str(step), float(n)) for step, n in zip((*STEPS, "+Inf"), sums, strict=True)]
        family.add_metric([kind], buckets, reading.seconds)
    return family
