"""Every figure of a seeded week, against the same figure computed straight from the jobs and their history."""

from bisect import bisect_left
from collections import Counter, defaultdict
from datetime import UTC, timedelta
from math import inf
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from django.utils import timezone

from jobs import lifecycle
from jobs.lifecycle import By
from jobs.models import Job, JobEvent, JobKind, JobRollup, Learned, RollupState
from jobs.states import HELD, Span
from jobs.stats import learned, rollup
from jobs.stats.times import FINE, HOME, LEARNED, METRICS
from jobs.transitions import ENDING
from jobsite.lib import histogram
from tests.cast import enqueue_one, take_one

#: The columns that are compared.
COLUMNS = (
    "succeeded", "failed", "cancelled", "attempts_failed", "given_up", "expired", "requeued", "released",
    "handed_back", "cancelled_held", "leases_ended", "waits",
)  # fmt: skip


@pytest.fixture
def week(request, settings, db, capsys, olga, ada):
    """A week of seeded history and a lease that ended in every way; added up by now."""
    settings.DEBUG, settings.TIME_ZONE = True, getattr(request, "param", "UTC")
    call_command("seed", "1500", "--bots", "12")
    held = [take_one(ada, max_attempts=1 + n % 2) for n in range(9)]
    held[0].complete(1)
    held[1].fail(retry=False)
    held[2].fail()
    held[3].hand_back()
    lifecycle.cancel([held[4].id, enqueue_one().pk], by=By.operator(olga))
    for n in (5, 6):
        lifecycle.expire([held[n].id], by=lifecycle.SWEEP, reasons={held[n].id: "silent"})
    lifecycle.give_up([held[7].id], by=lifecycle.SWEEP, reasons={held[7].id: "silent"})
    lifecycle.release([held[8].id], by=By.operator(olga))
    held[8].complete(3)
    lifecycle.accept([held[8].id], by=By.operator(olga))
    JobRollup.objects.all().delete()
    RollupState.objects.all().delete()
    Learned.objects.all().delete()
    JobKind.objects.update(learned_run_within=None)
    now = timezone.now() + timedelta(minutes=3)
    rollup.add_closed_minutes(now)
    return now


def ways(event):
    """The columns in which an event counts."""
    leased = event.from_status in HELD
    found = {
        ("fail", "bot"): ["attempts_failed"], ("fail", "sweep"): ["given_up"], ("expire", "sweep"): ["expired"],
        ("release", "operator"): ["released"], ("release", "bot"): ["handed_back"],
    }.get((event.verb, event.actor), [])  # fmt: skip
    found = found + ["leases_ended"] * leased + ["cancelled_held"] * (leased and event.verb == "cancel")
    found += ["requeued"] * (event.verb == "expire" and event.to_status == "pending")
    return found + [event.to_status] * (event.to_status in ("failed", "cancelled"))


def ends():
    """Everything that ended: `(moment, kind, bot, the columns in which it counts, waited, ran)`."""
    for job in Job.objects.finished():
        leased = job.claimed_at is not None
        waited = max(0.0, (job.claimed_at - job.due_since).total_seconds()) if leased else None
        done = job.status == "succeeded"
        ran = (job.finished_at - job.started_at).total_seconds() if done and job.started_at else None
        columns = (["succeeded"] + ["leases_ended"] * leased) * done + ["waits"] * leased
        yield job.finished_at, job.kind_id, job.finished_by_id, columns, waited, ran
    for event in JobEvent.objects.filter(verb__in=ENDING).select_related("job"):
        yield event.at, event.job.kind_id, event.bot_id, ways(event), None, None


def starts(moment, zone):
    """The moment's minute, quarter, hour and day where the site is."""
    local = moment.astimezone(zone)
    minute = local.replace(second=0, microsecond=0)
    quarter = moment.astimezone(UTC).replace(second=0, microsecond=0)
    quarter -= timedelta(minutes=quarter.minute % 15)
    hour = minute.replace(minute=0)
    return {"minute": minute, "quarter": quarter, "hour": hour, "bot_hour": hour, "bot_day": hour.replace(hour=0)}


@pytest.mark.parametrize("week", ["UTC", "Asia/Kathmandu"], indirect=True)
def test_every_figure_is_that_of_the_history(week, settings):
    zone = ZoneInfo(settings.TIME_ZONE)
    counts, seconds, times = defaultdict(Counter), defaultdict(Counter), defaultdict(Counter)
    for moment, kind, bot, columns, waited, ran in ends():
        at = starts(moment, zone)
        keys = [(span, at[span], of, 0) for span in ("minute", "quarter", "hour") for of in (kind, "")]
        # Rows of bots are about their leases: not of what nobody held, nor of the time that a failed job waited.
        if columns not in (["waits"], ["cancelled"], []):
            keys += [(span, at[span], kind, bot or 0) for span in ("bot_hour", "bot_day")]
        keys = [key for key in keys if key[1] >= week - rollup.KEEP[Span(key[0])]]
        for key in [*keys, ("total", None, kind, 0)]:
            counts[key].update(columns)
            seconds[key].update({"waited": waited or 0, "ran": ran or 0})
            if key[0] in ("hour", "total"):
                times[key, "wait_times"].update([] if waited is None else [FINE.bucket(waited)])
                times[key, "run_times"].update([] if ran is None else [FINE.bucket(ran)])
    rows = {
        (row.span, None if row.span == "total" else row.start, row.kind, row.bot): row
        for row in JobRollup.objects.all()
    }
    assert {key for key, row in rows.items() if any(getattr(row, column) for column in COLUMNS)} == {
        key for key, found in counts.items() if found.total()
    }
    assert len(rows) > 500
    for key, row in rows.items():
        assert {column: getattr(row, column) for column in COLUMNS} == {c: counts[key][c] for c in COLUMNS}, key
        assert row.waited == pytest.approx(seconds[key]["waited"], abs=1e-5)
        assert row.ran == pytest.approx(seconds[key]["ran"], abs=1e-5)
        for name in ("wait_times", "run_times"):
            assert histogram.from_json(getattr(row, name)) == +times[key, name], key


def test_learned_limits_are_those_of_the_history(week):
    runs = defaultdict(list)
    for _, kind, _, _, _, ran in ends():
        runs[kind] += [] if ran is None else [ran]
    known = {kind: of for kind, of in runs.items() if of}
    assert {row.kind_id: row.jobs for row in Learned.objects.all()} == {kind: len(of) for kind, of in known.items()}
    for row in Learned.objects.all():
        counts = Counter(bisect_left(LEARNED.edges, ran) for ran in runs[row.kind_id])
        assert Counter(dict(enumerate(learned.recent(row).counts))) == counts
    limited = {kind for kind, of in known.items() if len(of) >= learned.ENOUGH}
    assert set(JobKind.objects.exclude(learned_run_within=None).values_list("name", flat=True)) == limited


def test_the_steps_of_pages_and_metrics_are_those_of_the_history(week):
    runs = [ran for _, kind, _, _, _, ran in ends() if kind == "mail.send" and ran is not None]
    row = JobRollup.objects.get(span=Span.TOTAL, kind="mail.send")
    for steps in (HOME, METRICS):
        upper = (*steps.edges, inf)
        expected = Counter(next(n for n, edge in enumerate(upper) if ran <= edge) for ran in runs)
        assert FINE.regroup(histogram.from_json(row.run_times), steps) == [expected[n] for n in range(len(upper))]
