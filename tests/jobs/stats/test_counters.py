"""Counters of jobs only rise, survive what they counted, and are the same whoever is asked."""

import re
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from bots.models import Bot
from jobs import lifecycle
from jobs.lifecycle import By
from jobs.models import Job, JobKind, JobRollup, RollupState
from jobs.states import Span
from jobs.stats import counts, rollup
from jobs.stats.statements import SQL
from jobs.stats.times import FINE, METRICS
from jobs.sweep.run import sweep
from jobsite.lib import histogram
from jobsite.lib.locks import Lock
from tests.cast import Lease, bot_named, database_url, enqueue_one, make_older, take_one
from tests.jobs.test_console_cost import EVENTS
from tests.jobs.test_plans import history  # noqa: F401  the fixture

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def begun(db: None) -> None:
    """The counters began an hour ago."""
    assert rollup.add_closed_minutes(timezone.now() - timedelta(hours=1)) == 0


def later(minutes: float = 5) -> None:
    """A sweep so much later: what ended until now is in closed minutes."""
    rollup.add_closed_minutes(timezone.now() + timedelta(minutes=minutes))


def counter(column: str, kind: str = "sum") -> int:
    row = counts.totals().get(kind)
    return getattr(row, column) if row else 0


def figures() -> list[dict[str, Any]]:
    """All that the totals have."""
    return list(JobRollup.objects.filter(span=Span.TOTAL).order_by("kind").values())


def times(of: str) -> list[int]:
    """How many fell on each step of /metrics."""
    return FINE.regroup(histogram.from_json(getattr(counts.totals()["sum"], of)), METRICS)


def operator(user: Any) -> By:
    return By.operator(user)


def test_jobs_that_ended_are_counted_by_kind_and_by_how(ada: Bot, olga: Any) -> None:
    take_one(ada).complete()
    take_one(ada).complete()
    take_one(ada, kind="divide").fail(retry=False)
    lifecycle.cancel([enqueue_one().pk], by=operator(olga))
    later()
    assert counter("succeeded") == 2
    assert counter("failed", "divide") == 1
    assert counter("cancelled") == 1
    assert counter("attempts_failed", "divide") == 1


def test_a_minute_is_counted_once_however_many_sweeps_see_it(ada: Bot) -> None:
    take_one(ada).complete()
    for minutes in (5, 5, 6, 60):
        later(minutes)
    assert counter("succeeded") == 1
    assert rollup.added_until() > timezone.now() + timedelta(minutes=50)  # type: ignore[operator]


def test_a_minute_that_is_not_over_is_left_for_the_next_sweep(ada: Bot) -> None:
    take_one(ada).complete()
    rollup.add_closed_minutes()
    assert counter("succeeded") == 0


def test_a_failed_job_that_was_sent_back_at_once_has_failed_all_the_same(ada: Bot, olga: Any) -> None:
    lease = take_one(ada)
    lease.fail(retry=False)
    lifecycle.retry([lease.id], by=operator(olga))
    later()
    assert counter("failed") == 1


def test_releases_are_told_apart_by_who_gave_the_lease_back(ada: Bot, olga: Any) -> None:
    lifecycle.release([take_one(ada).id], by=operator(olga))
    # Each before all that went back.
    take_one(ada, priority=2_000_000).hand_back()
    make_older(take_one(ada, priority=3_000_000), 30)
    make_older(take_one(ada, priority=4_000_000, max_attempts=1), 30)
    sweep()
    later()
    assert [counter(column) for column in ("released", "handed_back", "requeued")] == [1, 1, 1]
    # One of the two went back, and one had no attempt left.
    assert counter("expired") == 2
    assert counter("failed") == 1


def test_a_claim_is_counted_while_it_is_held_and_once_when_it_has_ended(ada: Bot, bob: Bot, olga: Any) -> None:
    first = take_one(ada)
    rollup.add_closed_minutes()
    assert counter("leases_given") == 1
    first.complete()
    rollup.add_closed_minutes()
    assert counter("leases_given") == 1
    lifecycle.release([take_one(bob).id], by=operator(olga))
    lifecycle.cancel([enqueue_one().pk], by=operator(olga))
    rollup.add_closed_minutes()
    assert counter("leases_given") == 2
    later()
    assert counter("leases_given") == 2


def test_a_late_result_that_is_accepted_is_no_second_claim(ada: Bot, olga: Any) -> None:
    lease = take_one(ada)
    lifecycle.release([lease.id], by=operator(olga))
    lease.complete(3)
    assert lifecycle.accept([lease.id], by=operator(olga))
    later()
    assert counter("leases_given") == 1
    assert counter("succeeded") == 1


def test_no_counter_falls_when_jobs_are_pruned(ada: Bot) -> None:
    lease = take_one(ada)
    lease.complete()
    take_one(ada, kind="divide").fail(retry=False)
    later()
    before = figures()
    Job.objects.all().delete()
    later(20)
    assert figures() == before


def test_run_times_fall_on_steps(ada: Bot) -> None:
    def ran(lease: Lease, seconds: float) -> None:
        lease.complete()
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE jobs_job SET started_at = finished_at - %s * interval '1 second', run_at = claimed_at"
                " - interval '20 seconds', created_at = claimed_at - interval '1 minute' WHERE id = %s",
                [seconds, lease.id],
            )

    # A step belongs to what is as long as it: `le`.
    for seconds in (0.1, 0.4, 15.0, 15.001, 100_000):
        ran(take_one(ada), seconds)
    later()
    steps = dict(zip((*METRICS.edges, None), times("run_times"), strict=True))
    assert {step: n for step, n in steps.items() if n} == {0.1: 1, 0.5: 1, 15.0: 1, 60.0: 1, None: 1}
    total = counts.totals()["sum"]
    assert sum(times("run_times")) == 5
    assert total.ran == pytest.approx(100_030.501)
    assert times("wait_times")[METRICS.edges.index(60.0)] == sum(times("wait_times")) == total.waits == 5
    assert total.waited == pytest.approx(100)
    ran(take_one(ada), 0.2)
    rollup.add_closed_minutes(timezone.now() + timedelta(minutes=10))
    assert sum(times("run_times")) == 5, "it ended in a minute that was counted already"


def test_later_minutes_are_added_to_the_steps(ada: Bot) -> None:
    for hours in (3, 0):
        RollupState.objects.update(added_until=timezone.now() - timedelta(hours=hours, minutes=5))
        lease = take_one(ada)
        lease.complete()
        make_older(lease, hours * 60)
        later(5 - hours * 60)
    assert (counter("succeeded"), times("run_times")[0], sum(times("run_times"))) == (2, 2, 2)


def test_so_many_kinds_have_figures_of_their_own_and_the_others_share_one(ada: Bot, settings: Any) -> None:
    settings.METRICS_KINDS = 2
    for kind in ("sum", "divide", "third", "fourth"):
        take_one(ada, kind=kind).complete()
        rollup.add_closed_minutes()
    later()
    succeeded = {kind: total.succeeded for kind, total in counts.totals().items()}
    assert succeeded == {"sum": 1, "divide": 1, counts.OTHER: 2}
    assert counter("leases_given", counts.OTHER) == 2


def test_a_kind_keeps_its_figures_when_the_bound_is_lowered(ada: Bot, settings: Any) -> None:
    take_one(ada).complete()
    rollup.add_closed_minutes()
    settings.METRICS_KINDS = 0
    later()
    assert counter("succeeded") == 1


def test_what_was_never_claimed_has_not_waited(ada: Bot, olga: Any) -> None:
    lifecycle.cancel([enqueue_one().pk], by=operator(olga))
    take_one(ada).complete()
    later()
    assert sum(times("wait_times")) == counter("waits") == 1


def test_no_kind_can_be_called_like_the_others() -> None:
    with pytest.raises(Exception, match="letters, digits"):
        JobKind(name=counts.OTHER).full_clean()


def live() -> dict[tuple[str, str], int]:
    return counts.live(sorted(set(counts.totals()) - {counts.OTHER}))


def test_live_jobs_are_counted_by_kind_and_status(ada: Bot, settings: Any) -> None:
    settings.METRICS_KINDS = 1
    enqueue_one()
    take_one(ada)
    enqueue_one("divide")
    take_one(bot_named("carl"), start=False, kind="divide")
    rollup.add_closed_minutes()
    enqueue_one()
    assert live() == {
        ("sum", "pending"): 2,
        ("sum", "processing"): 1,
        (counts.OTHER, "pending"): 1,
        (counts.OTHER, "claimed"): 1,
    }


def test_of_many_pending_jobs_the_sweeps_count_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "COUNTED_LIVE", 3)
    for _ in range(9):
        enqueue_one()
    rollup.add_closed_minutes()
    enqueue_one()
    assert live()["sum", "pending"] == 9
    RollupState.objects.update(pending={})
    # Never less than what was counted.
    assert live()["sum", "pending"] == 4


def test_pending_jobs_are_not_counted_again_until_the_last_count_is_paid_for() -> None:
    enqueue_one()
    now = timezone.now() + timedelta(hours=1)
    rollup.add_closed_minutes(now)
    RollupState.objects.update(pending_took=3)
    enqueue_one()
    rollup.add_closed_minutes(now + timedelta(seconds=299))
    assert RollupState.objects.get().pending["sum"] == 1
    rollup.add_closed_minutes(now + timedelta(seconds=301))
    assert RollupState.objects.get().pending["sum"] == 2


@pytest.mark.django_db(transaction=True)
def test_somebody_who_is_at_it_is_not_waited_for() -> None:
    before = rollup.added_until()
    with psycopg.connect(database_url()) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [Lock.ROLLUP])
        later()
        assert rollup.added_until() == before
    later()
    assert rollup.added_until() != before


def test_neither_the_sweep_nor_a_scrape_reads_the_table_of_jobs(history: Bot) -> None:  # noqa: F811
    with connection.cursor() as cursor:
        cursor.execute(EVENTS)
        cursor.execute("ANALYZE jobs_jobevent")
    labels = {"labels": ["sum"], "other": counts.OTHER}
    # Everything ended just now: a minute in which nothing did is as small a part as one is of ten million.
    quiet = timezone.now() + timedelta(minutes=1)
    since = {"since": quiet, "until": "infinity"}
    asked = {"count_claims": since | labels, "live": {"most": 100, "own": ["sum"], "other": counts.OTHER}}
    asked["count_pending"] = labels | {"now": quiet, "zone": "UTC"}
    for name, params in asked.items():
        assert not re.search(r"Seq Scan on jobs_job(event)?\b", explained(SQL.text(name), params)), name
    for statement in (rollup.ADD, rollup.ADD_LATE):
        minute = {"since": quiet, "until": quiet + timedelta(minutes=1), "now": quiet, "zone": "UTC", "reopened": "[]"}
        keep = {f"keep_{span}": length for span, length in rollup.KEEP.items()}
        state = {"added_until": quiet, "open_since": None, "after": "10:20:10"}
        said = explained(statement, minute | keep | state | labels)
        assert "job_finished_of_kind" in said
        assert "jobevent_ended_at" in said
        assert "jobs_job_pkey" in said
        assert not re.search(r"Seq Scan on jobs_job(event)?\b", said)


def explained(sql: str, params: dict[str, Any]) -> str:
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + sql, params)
        return "\n".join(row[0] for row in cursor.fetchall())
