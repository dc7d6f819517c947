"""Counters of jobs only rise, survive what they counted, and are the same whoever is asked."""

import re
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from bots.models import Bot
from jobs import lifecycle, meter
from jobs.lifecycle import By
from jobs.models import Job, JobKind, Metered
from jobs.states import Meter
from jobs.sweep.run import sweep
from tests.cast import Lease, bot_named, database_url, enqueue_one, make_older, take_one
from tests.jobs.test_console_cost import EVENTS
from tests.jobs.test_plans import history, plan  # noqa: F401  the fixture

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def begun(db: None) -> None:
    """The counters began an hour ago."""
    assert meter.keep(timezone.now() - timedelta(hours=1)) == 0


def later(minutes: float = 5) -> None:
    """A sweep so much later: what ended until now is in closed minutes."""
    meter.keep(timezone.now() + timedelta(minutes=minutes))


def counter(name: Meter, kind: str = "sum", source: str = "") -> int:
    reading = meter.readings()[name].get((kind, source))
    return reading.n if reading else 0


def operator(user: Any) -> By:
    return By.operator(user)


def test_jobs_that_ended_are_counted_by_kind_and_by_how(ada: Bot, olga: Any) -> None:
    take_one(ada).complete()
    take_one(ada).complete()
    take_one(ada, kind="divide").fail(retry=False)
    lifecycle.cancel([enqueue_one().pk], by=operator(olga))
    later()
    assert counter(Meter.FINISHED, source="succeeded") == 2
    assert counter(Meter.FINISHED, "divide", "failed") == 1
    assert counter(Meter.FINISHED, source="cancelled") == 1
    assert counter(Meter.FAILED, "divide", "bot") == 1


def test_a_minute_is_counted_once_however_many_sweeps_see_it(ada: Bot) -> None:
    take_one(ada).complete()
    for minutes in (5, 5, 6, 60):
        later(minutes)
    assert counter(Meter.FINISHED, source="succeeded") == 1
    assert meter.mark() > timezone.now() + timedelta(minutes=50)  # type: ignore[operator]


def test_a_minute_that_is_not_over_is_left_for_the_next_sweep(ada: Bot) -> None:
    take_one(ada).complete()
    meter.keep()
    assert counter(Meter.FINISHED, source="succeeded") == 0


def test_a_failed_job_that_was_sent_back_at_once_has_failed_all_the_same(ada: Bot, olga: Any) -> None:
    lease = take_one(ada)
    lease.fail(retry=False)
    lifecycle.retry([lease.id], by=operator(olga))
    later()
    assert counter(Meter.FINISHED, source="failed") == 1


def test_releases_are_told_apart_by_who_gave_the_lease_back(ada: Bot, olga: Any) -> None:
    lifecycle.release([take_one(ada).id], by=operator(olga))
    # Each before all that went back.
    take_one(ada, priority=2_000_000).hand_back()
    make_older(take_one(ada, priority=3_000_000), 30)
    make_older(take_one(ada, priority=4_000_000, max_attempts=1), 30)
    sweep()
    later()
    assert [counter(Meter.RELEASED, source=who) for who in ("operator", "bot", "sweep")] == [1, 1, 1]
    # One of the two went back, and one had no attempt left.
    assert counter(Meter.EXPIRED) == 2
    assert counter(Meter.FINISHED, source="failed") == 1


def test_a_claim_is_counted_while_it_is_held_and_once_when_it_has_ended(ada: Bot, bob: Bot, olga: Any) -> None:
    first = take_one(ada)
    meter.keep()
    assert counter(Meter.CLAIMS) == 1
    first.complete()
    meter.keep()
    assert counter(Meter.CLAIMS) == 1
    lifecycle.release([take_one(bob).id], by=operator(olga))
    lifecycle.cancel([enqueue_one().pk], by=operator(olga))
    meter.keep()
    assert counter(Meter.CLAIMS) == 2
    later()
    assert counter(Meter.CLAIMS) == 2


def test_a_late_result_that_is_accepted_is_no_second_claim(ada: Bot, olga: Any) -> None:
    lease = take_one(ada)
    lifecycle.release([lease.id], by=operator(olga))
    lease.complete(3)
    assert lifecycle.accept([lease.id], by=operator(olga))
    later()
    assert counter(Meter.CLAIMS) == 1
    assert counter(Meter.FINISHED, source="succeeded") == 1


def test_no_counter_falls_when_jobs_are_pruned(ada: Bot) -> None:
    lease = take_one(ada)
    lease.complete()
    take_one(ada, kind="divide").fail(retry=False)
    later()
    before = meter.readings()
    Job.objects.all().delete()
    later(20)
    after = meter.readings()
    rising = [name for name in Meter if name not in (Meter.MARK, Meter.PENDING, Meter.COUNTED)]
    assert {name: after[name] for name in rising} == {name: before[name] for name in rising}


def test_run_times_fall_on_steps(ada: Bot) -> None:
    def ran(lease: Lease, seconds: float) -> None:
        lease.complete()
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE jobs_job SET started_at = finished_at - %s * interval '1 second', run_at = claimed_at"
                " - interval '20 seconds' WHERE id = %s",
                [seconds, lease.id],
            )

    # A step belongs to what is as long as it: `le`.
    for seconds in (0.1, 0.4, 15.0, 15.001, 100_000):
        ran(take_one(ada), seconds)
    later()
    run, wait = meter.readings()[Meter.RUN]["sum", ""], meter.readings()[Meter.WAIT]["sum", ""]
    steps = dict(zip((*meter.STEPS, None), run.steps, strict=True))
    assert {step: n for step, n in steps.items() if n} == {0.1: 1, 0.5: 1, 15.0: 1, 60.0: 1, None: 1}
    assert run.n == 5
    assert run.seconds == pytest.approx(100_030.501)
    assert wait.steps[meter.STEPS.index(60.0)] == wait.n == 5
    assert wait.seconds == pytest.approx(100)
    ran(take_one(ada), 0.2)
    meter.keep(timezone.now() + timedelta(minutes=10))
    assert meter.readings()[Meter.RUN]["sum", ""].n == 5, "it ended in a minute that was counted already"


def test_later_minutes_are_added_to_the_steps(ada: Bot) -> None:
    for hours in (3, 0):
        Metered.objects.filter(name=Meter.MARK).update(at=timezone.now() - timedelta(hours=hours, minutes=5))
        lease = take_one(ada)
        lease.complete()
        make_older(lease, hours * 60)
        later(5 - hours * 60)
    run = meter.readings()[Meter.RUN]["sum", ""]
    assert (run.n, run.steps[0], sum(run.steps)) == (2, 2, 2)


def test_so_many_kinds_have_figures_of_their_own_and_the_others_share_one(ada: Bot, settings: Any) -> None:
    settings.METRICS_KINDS = 2
    for kind in ("sum", "divide", "third", "fourth"):
        take_one(ada, kind=kind).complete()
        meter.keep()
    later()
    succeeded = {kind: r.n for (kind, how), r in meter.readings()[Meter.FINISHED].items() if how == "succeeded"}
    assert succeeded == {"sum": 1, "divide": 1, meter.OTHER: 2}
    assert counter(Meter.CLAIMS, meter.OTHER) == 2


def test_a_kind_keeps_its_figures_when_the_bound_is_lowered(ada: Bot, settings: Any) -> None:
    take_one(ada).complete()
    meter.keep()
    settings.METRICS_KINDS = 0
    later()
    assert counter(Meter.FINISHED, source="succeeded") == 1


def test_no_kind_can_be_called_like_the_others() -> None:
    with pytest.raises(Exception, match="letters, digits"):
        JobKind(name=meter.OTHER).full_clean()


def live() -> dict[tuple[str, str], int]:
    kept = meter.readings()
    return meter.live(kept[Meter.PENDING], sorted(kind for kind, _ in kept[Meter.KIND]))


def test_live_jobs_are_counted_by_kind_and_status(ada: Bot, settings: Any) -> None:
    settings.METRICS_KINDS = 1
    enqueue_one()
    take_one(ada)
    enqueue_one("divide")
    take_one(bot_named("carl"), start=False, kind="divide")
    meter.keep()
    enqueue_one()
    assert live() == {
        ("sum", "pending"): 2,
        ("sum", "processing"): 1,
        (meter.OTHER, "pending"): 1,
        (meter.OTHER, "claimed"): 1,
    }


def test_of_many_pending_jobs_the_sweeps_count_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "COUNTED", 3)
    for _ in range(9):
        enqueue_one()
    meter.keep()
    enqueue_one()
    assert live()["sum", "pending"] == 9
    Metered.objects.filter(name=Meter.PENDING).delete()
    # Never less than what was counted.
    assert live()["sum", "pending"] == 4


def test_pending_jobs_are_not_counted_again_until_the_last_count_is_paid_for() -> None:
    enqueue_one()
    now = timezone.now() + timedelta(hours=1)
    meter.keep(now)
    Metered.objects.filter(name=Meter.COUNTED).update(seconds=3)
    enqueue_one()
    meter.keep(now + timedelta(seconds=299))
    assert counter(Meter.PENDING) == 1
    meter.keep(now + timedelta(seconds=301))
    assert counter(Meter.PENDING) == 2


@pytest.mark.django_db(transaction=True)
def test_somebody_who_is_at_it_is_not_waited_for() -> None:
    before = meter.mark()
    with psycopg.connect(database_url()) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [meter.LOCK])
        later()
        assert meter.mark() == before
    later()
    assert meter.mark() != before


def test_neither_the_sweep_nor_a_scrape_reads_the_table_of_jobs(history: Bot) -> None:  # noqa: F811
    with connection.cursor() as cursor:
        cursor.execute(EVENTS)
        cursor.execute("ANALYZE jobs_jobevent")
    kinds = {"own": ["sum"], "other": meter.OTHER}
    # Everything ended just now: a minute in which nothing did is as small a part as one is of ten million.
    quiet = timezone.now() + timedelta(minutes=1)
    turned = [-step for step in reversed(meter.STEPS)]
    minute = {"since": quiet, "until": quiet + timedelta(minutes=1), "last": len(meter.STEPS), "steps": turned}
    since = {"since": quiet, "until": "infinity"}
    asked = {"meter": minute, "meter_claims": since, "live": {"most": 100}, "meter_pending": {}}
    for name, params in asked.items():
        assert not re.search(r"Seq Scan on jobs_job(event)?\b", plan(name, **params, **kinds)), name
