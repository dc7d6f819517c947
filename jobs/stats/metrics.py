"""The metrics of jobs, bots and the sweep. All of them come from the database, so every process has the same."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import accumulate

from django.conf import settings
from django.db.models import Count, Exists, OuterRef, Q, Sum
from django.db.models.functions import Coalesce, Now
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from bots.instances import Instance, in_quarantine
from bots.models import Bot
from bots.states import BotStatus, HealthStatus
from jobs.limits import Gate
from jobs.models import Job, JobKind, JobRollup, SweepRun
from jobs.states import FINISHED, UNFINISHED, Actor
from jobs.stats import counts, rollup
from jobs.stats.counts import OTHER
from jobs.stats.times import FINE, METRICS
from jobsite.lib import histogram

#: The values of a family's labels.
Labels = tuple[str, ...]
#: Counters that are distinguished by one more label: the column of the rollup for each of its values.
BY_STATUS: dict[Labels, str] = {(status.value,): status.value for status in FINISHED}
FAILED_BY: dict[Labels, str] = {(Actor.BOT.value,): "attempts_failed", (Actor.SWEEP.value,): "given_up"}
RELEASED_BY: dict[Labels, str] = {
    (Actor.OPERATOR.value,): "released",
    (Actor.BOT.value,): "handed_back",
    (Actor.SWEEP.value,): "requeued",
}

Totals = Mapping[str, JobRollup]


def collect() -> Iterator[Metric]:
    """All families, with every series that there can be: a counter that appears only at one is missed by `rate`."""
    totals = counts.totals()
    own = sorted(kind for kind in totals if kind != OTHER)
    yield from _live(own)
    kinds = [*own, OTHER]
    yield _counter("jobsite_claims", "Leases given to bots.", totals, kinds, {(): "leases_given"})
    yield _counter("jobsite_jobs_finished", "Jobs that ended.", totals, kinds, BY_STATUS, "status")
    yield _counter(
        "jobsite_attempts_failed", "Attempts that failed, tried again or not.", totals, kinds, FAILED_BY, "source"
    )
    yield _counter(
        "jobsite_releases", "Leases that went back to pending, by who gave them back.", totals, kinds, RELEASED_BY,
        "source",
    )  # fmt: skip
    yield _counter("jobsite_expiries", "Leases that the sweep ended.", totals, kinds, {(): "expired"})
    yield _histogram(
        "jobsite_job_wait_seconds", "From due to the last claim, of jobs that ended.", totals, "wait_times", "waited"
    )
    yield _histogram(
        "jobsite_job_run_seconds", "From started to done, of jobs that succeeded.", totals, "run_times", "ran"
    )
    yield _moment(
        "jobsite_counted_until_timestamp_seconds", "Until when the counters have counted.", rollup.added_until()
    )
    yield from _bots()
    yield _slots()
    yield from _sweep()


def _live(own: list[str]) -> Iterator[Metric]:
    live = counts.live(own)
    jobs: dict[Labels, float] = {
        (kind, status): live.get((kind, status), 0) for kind in (*own, OTHER) for status in UNFINISHED
    }
    yield gauge("jobsite_jobs", "Jobs that have not ended.", ["kind", "status"], jobs)
    ages = dict.fromkeys([*own, OTHER], 0.0)
    for row in counts.oldest_pending():
        if not row["closed"]:
            kind = row["kind"] if row["kind"] in ages else OTHER
            ages[kind] = max(ages[kind], row["age"])
    yield gauge(
        "jobsite_oldest_pending_seconds", "How long the oldest due job of a kind has been due.", ["kind"],
        {(kind,): age for kind, age in ages.items()},
    )  # fmt: skip
    paused = set(JobKind.objects.filter(paused=True, name__in=own).values_list("name", flat=True))
    yield gauge(
        "jobsite_kind_paused", "Whether a kind is paused: 1 or 0.", ["kind"], {(kind,): kind in paused for kind in own}
    )
    bounds = dict(JobKind.objects.filter(name__in=own).values_list("name", "max_pending"))
    yield gauge(
        "jobsite_kind_max_pending", "How many jobs of a kind may be pending; 0: no limit of its own.", ["kind"],
        {(kind,): bounds.get(kind) or 0 for kind in own},
    )  # fmt: skip
    limits = dict(JobKind.objects.filter(name__in=own).values_list("name", "max_held"))
    yield gauge(
        "jobsite_kind_max_held", "How many jobs of a kind may be held at once; 0: any number.", ["kind"],
        {(kind,): limits.get(kind) or 0 for kind in own},
    )  # fmt: skip
    shut = Gate.objects.filter(shut_until__gt=Now(), kind__in=own).order_by()
    throttles = dict(shut.values_list("kind").annotate(n=Count("pk")))
    yield gauge(
        "jobsite_throttles", "How many throttles shut a kind or a group of it now.", ["kind"],
        {(kind,): throttles.get(kind, 0) for kind in own},
    )  # fmt: skip


def _bots() -> Iterator[Metric]:
    counted: dict[str, int] = Bot.objects.aggregate(
        **{f"status_{value}": Count("pk", filter=Q(status=value)) for value in BotStatus.values},
        **{f"health_{value}": Count("pk", filter=Q(health_status=value)) for value in HealthStatus.values},
        paused=Count("pk", filter=Q(paused=True)),
        quarantined=Count("pk", filter=Q(in_quarantine())),
    )
    by_status: dict[Labels, float] = {(value,): counted[f"status_{value}"] for value in BotStatus.values}
    yield gauge("jobsite_bots", "Bots by status.", ["status"], by_status)
    by_health: dict[Labels, float] = {(value,): counted[f"health_{value}"] for value in HealthStatus.values}
    yield gauge("jobsite_bots_health", "Bots by health.", ["health"], by_health)
    yield GaugeMetricFamily("jobsite_bots_paused", "Bots that are paused.", value=counted["paused"])
    yield GaugeMetricFamily("jobsite_bots_quarantined", "Bots in quarantine.", value=counted["quarantined"])


def _slots() -> Metric:
    seen = Instance.objects.seen(settings.BOT_DOWN_AFTER).filter(slots__isnull=False).order_by()
    found = seen.aggregate(all=Coalesce(Sum("slots"), 0), lost=Coalesce(Sum("slots_lost"), 0))
    of_job = seen.filter(bot=OuterRef("claimed_by"), name=OuterRef("instance"))
    found["free"] = max(0, found["all"] - found["lost"] - Job.objects.held().filter(Exists(of_job)).count())
    by_slot: dict[Labels, float] = {(slot,): found[slot] for slot in ("all", "free", "lost")}
    return gauge("jobsite_slots", "Slots of bots that give them, those that have called lately.", ["slot"], by_slot)


def _sweep() -> Iterator[Metric]:
    run = SweepRun.objects.first()
    yield _moment(
        "jobsite_sweep_last_run_timestamp_seconds", "When the last full sweep ended.", run.finished_at if run else None
    )
    yield gauge(
        "jobsite_sweep_last_duration_seconds", "How long the last full sweep took.", [], {(): run.took} if run else {}
    )


def _moment(name: str, text: str, moment: datetime | None) -> Metric:
    # Zero, the year 1970, where it never was: an alert on the age then fires, as it should.
    return GaugeMetricFamily(name, text, value=moment.timestamp() if moment else 0)


def gauge(name: str, text: str, labels: Sequence[str], values: Mapping[Labels, float]) -> Metric:
    """Return a family with these values by the values of their labels."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for of_labels, value in values.items():
        family.add_metric(of_labels, value)
    return family


def _counter(
    name: str, text: str, totals: Totals, kinds: Iterable[str], columns: Mapping[Labels, str], *labels: str
) -> Metric:
    """A family by kind and, if there is one, another label; `columns`: the rollup's for each of its values."""
    family = CounterMetricFamily(name, text, labels=["kind", *labels])
    for kind in kinds:
        for values, column in columns.items():
            family.add_metric([kind, *values], getattr(totals[kind], column) if kind in totals else 0)
    return family


def _histogram(name: str, text: str, totals: Totals, times: str, seconds: str) -> Metric:
    family = HistogramMetricFamily(name, text, labels=["kind"])
    for kind, row in sorted(totals.items()):
        if not getattr(row, times):
            continue
        sums = accumulate(FINE.regroup(histogram.from_json(getattr(row, times)), METRICS))
        buckets = [(str(edge), float(n)) for edge, n in zip((*METRICS.edges, "+Inf"), sums, strict=True)]
        family.add_metric([kind], buckets, getattr(row, seconds))
    return family
