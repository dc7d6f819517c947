"""A minute is closed when nothing can be added to it any more, by the database's clock alone."""

from datetime import datetime, timedelta

import psycopg
import pytest
from django.core.management import call_command
from django.utils import timezone

from jobs import lifecycle
from jobs.models import JobEvent, JobRollup, RollupState
from jobs.release_patterns.params import ReportParams
from jobs.release_patterns.report import build
from jobs.states import Span
from jobs.stats import bot_record, counts, recent, rollup
from jobs.stats.series import series
from tests.cast import database_url, make_older, take_one

MINUTE = timedelta(minutes=1)


def later(**time):
    """Add up as if so much time had passed."""
    return rollup.add_closed_minutes(timezone.now() + timedelta(**time))


def succeeded(span=Span.TOTAL, kind="sum"):
    return sum(JobRollup.objects.filter(span=span, kind=kind).values_list("succeeded", flat=True))


@pytest.fixture
def other(transactional_db):
    """Another connection to the same database, as a bot's report has it."""
    with psycopg.connect(database_url()) as found:
        yield found


@pytest.fixture
def begun(other):
    """The figures began before there was anything."""
    later(minutes=-2)


def completes(other, lease):
    """A report is written, and not committed yet: its moment is that of its statement."""
    other.execute("UPDATE jobs_job SET status = 'succeeded', finished_at = statement_timestamp(), claimed_by_id = NULL,"
                  " deadline_at = NULL, finished_by_id = %s WHERE id = %s", [lease.bot.pk, lease.id])  # fmt: skip


def test_a_report_that_waits_for_a_lock_is_counted_in_its_minute(ada, other, begun):
    lease, done = take_one(ada), take_one(ada)
    completes(other, lease)
    done.complete(1)
    later(seconds=110)
    # The minute waits for it, with all that ended in it.
    assert succeeded() == 0
    other.commit()
    later(seconds=115)
    assert succeeded() == succeeded(Span.HOUR) == succeeded(Span.HOUR, "") == succeeded(Span.BOT_DAY) == 2
    assert RollupState.objects.get().reopened == []


def test_one_that_only_waits_and_has_written_nothing_is_waited_for_too(ada, other, begun):
    lease = take_one(ada)
    # Its transaction begins here; when it gets its lock, its moment is still that of its statement.
    other.execute("SELECT 1")
    later(seconds=110)
    completes(other, lease)
    other.commit()
    later(seconds=115)
    assert succeeded() == 1


def test_after_ten_minutes_a_minute_is_closed_and_what_comes_later_is_added(ada, other, begun):
    lease, done, failed = take_one(ada), take_one(ada), take_one(ada)
    completes(other, lease)
    other.execute(
        "INSERT INTO jobs_jobevent (job_id, attempt, verb, from_status, to_status, bot_id, actor, at, detail)"
        " VALUES (%s, 1, 'fail', 'processing', 'pending', %s, 'bot', statement_timestamp(), '{}')", [failed.id, ada.pk]
    )  # fmt: skip
    done.complete(1)
    later(minutes=9)
    assert succeeded() == 0
    later(minutes=12)
    assert succeeded() == 1
    assert len(RollupState.objects.get().reopened) == 1
    # Nothing is deleted that is not added up.
    assert rollup.complete_until() < rollup.added_until()
    later(minutes=13)
    assert succeeded() == 1
    other.commit()
    later(minutes=14)
    total = JobRollup.objects.get(span=Span.TOTAL, kind="sum")
    assert (total.succeeded, total.attempts_failed, total.leases_ended) == (2, 1, 3)
    assert succeeded(Span.MINUTE) == succeeded(Span.QUARTER) == succeeded(Span.HOUR) == succeeded(Span.BOT_HOUR) == 2
    assert RollupState.objects.get().reopened == []
    assert rollup.complete_until() == rollup.added_until()
    # And each once.
    later(minutes=15)
    assert succeeded() == 2


def test_what_is_committed_in_between_is_added_once(ada, bob, other, begun):
    """A transaction stays open over several passes; other reports come and go meanwhile."""
    lease = take_one(ada)
    completes(other, lease)
    for minutes in (12, 13, 14):
        take_one(bob).complete(1)
        later(minutes=minutes)
    other.commit()
    later(minutes=15)
    assert succeeded() == 4
    assert succeeded(Span.BOT_DAY) == 4


def test_a_bot_that_is_deleted_meanwhile_is_not_counted_again(ada, bob, other, begun):
    take_one(bob).complete(1)
    take_one(bob).fail(retry=True)
    other.execute("SELECT pg_current_xact_id()")
    later(minutes=12)
    assert succeeded() == 1
    bob.delete()
    other.commit()
    later(minutes=14)
    assert succeeded() == 1
    assert JobRollup.objects.get(span=Span.TOTAL, kind="sum").attempts_failed == 1


def test_a_transaction_that_never_ends_is_not_waited_for(ada, other, begun):
    other.execute("SELECT pg_current_xact_id()")
    take_one(ada).complete(1)
    later(minutes=12)
    assert len(RollupState.objects.get().reopened) == 1
    later(days=1, hours=1)
    assert all(
        datetime.fromisoformat(stretch["until"]) > timezone.now() for stretch in RollupState.objects.get().reopened
    )
    assert succeeded() == 1


# --- One clock ------------------------------------------------------------------------------------------------


@pytest.fixture(params=[timedelta(minutes=2, hours=3), timedelta(minutes=2), timedelta(hours=-5)], ids=str)
def wrong_clock(request, monkeypatch):
    """The clock of this process is wrong by so much."""
    right = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: right() + request.param)
    return right


@pytest.mark.django_db
def test_a_sweep_whose_clock_is_wrong_loses_nothing(ada, wrong_clock, capsys):
    call_command("sweep_stuck")
    for minutes in (9, 8, 7):
        lease = take_one(ada)
        lease.complete(1)
        take_one(ada, priority=2_000_000).fail(retry=False)
        make_older(lease, minutes)
        JobEvent.objects.update(at=wrong_clock() - timedelta(minutes=minutes))
    RollupState.objects.update(added_until=wrong_clock().replace(second=0, microsecond=0) - timedelta(minutes=15))
    call_command("sweep_stuck")
    assert wrong_clock() - timedelta(minutes=2) < rollup.added_until() <= wrong_clock()
    take_one(ada).complete(1)
    RollupState.objects.update(added_until=rollup.added_until() - MINUTE)
    rollup.add_closed_minutes(wrong_clock() + timedelta(minutes=3))
    assert succeeded() == succeeded(Span.HOUR) == 4


@pytest.mark.django_db
def test_pages_read_by_a_process_whose_clock_is_wrong_are_right(ada, wrong_clock):
    lease = take_one(ada)
    lease.complete(1)
    make_older(lease, 3)
    rollup.add_closed_minutes()
    assert [sum(bar.ended for bar in series(window)) for window in ("hour", "day", "week")] == [1, 1, 1]
    # The last bar is the last minute that is counted.
    assert abs(series("hour")[-1].start - wrong_clock()) <= 3 * MINUTE
    of_ada = bot_record.added([record for _, record in bot_record.parts_of(ada, "day")]).succeeded
    assert sum(n for _, n in recent.of_kind("sum").steps()) == of_ada == bot_record.of_fleet("day").succeeded == 1
    assert build(ReportParams.from_params({"range": "24h"})).conclusions.leases == 1
    lifecycle.release([take_one(ada).id], by=lifecycle.SWEEP)
    assert counts.by_status()[1].n == 0
