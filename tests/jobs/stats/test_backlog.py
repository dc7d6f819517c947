"""The backlog: how many jobs of a kind were pending, and due, over time, from the sweep's counts."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from jobs import lifecycle
from jobs.models import Job, JobKind, JobRollup, RollupState
from jobs.states import Span
from jobs.stats import rollup
from jobs.stats.series import series
from tests.cast import enqueue_one, take_one

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 5, 12, 0, tzinfo=UTC)


def counted(minutes: float) -> None:
    """The sweep counts, so many minutes after noon."""
    rollup.add_closed_minutes(NOON + timedelta(minutes=minutes))


def backlog(window: str, minutes: float, kind: str = "sum") -> list[tuple[int | None, int | None]]:
    """Pending and due in the bars of the chart, as it is so many minutes after noon."""
    return [(bar.pending, bar.due) for bar in series(window, kind, now=NOON + timedelta(minutes=minutes))]


def test_each_count_is_kept_by_kind_and_for_all() -> None:
    enqueue_one()
    enqueue_one(delay=3600)
    enqueue_one(kind="divide", group="acme")
    counted(0)
    rows = JobRollup.objects.filter(start=NOON).exclude(span=Span.TOTAL).values_list("span", "kind", "pending", "due")
    assert set(rows) == {
        (span, *figures)
        for span in ("minute", "quarter", "hour")
        for figures in (("", 3, 2), ("sum", 2, 1), ("divide", 1, 1))
    }


def test_a_bar_has_the_most_at_one_count_and_a_gap_where_there_was_none() -> None:
    counted(0)
    jobs = [enqueue_one() for _ in range(3)]
    counted(2)
    Job.objects.filter(pk__in=[job.pk for job in jobs[1:]]).delete()
    counted(3)
    assert backlog("hour", 4)[-5:] == [(0, 0), (None, None), (3, 3), (1, 1), (None, None)]
    assert backlog("day", 4)[-2:] == [(None, None), (3, 3)]
    assert backlog("week", 4)[-2:] == [(None, None), (3, 3)]


def test_what_ends_beside_it_is_in_the_same_bar_in_whichever_order_they_are_added(ada) -> None:
    lease = take_one(ada)
    lease.complete(1)
    Job.objects.filter(pk=lease.id).update(finished_at=NOON)
    enqueue_one()
    for minutes in (0, 2, 4):
        counted(minutes)
    (bar,) = [bar for bar in series("hour", "sum", now=NOON + timedelta(minutes=4)) if bar.succeeded]
    assert (bar.start, bar.succeeded, bar.pending, bar.due) == (NOON, 1, 1, 1)


def test_of_a_paused_or_throttled_kind_nothing_is_due() -> None:
    enqueue_one()
    enqueue_one(kind="divide")
    JobKind.objects.filter(name="sum").update(paused=True)
    lifecycle.throttle("divide", "", 60, by=lifecycle.SWEEP)
    counted(0)
    assert backlog("hour", 0, "sum")[-1] == backlog("hour", 0, "divide")[-1] == (1, 0)
    assert backlog("hour", 0, "")[-1] == (2, 0)


def test_a_kind_outside_the_labels_of_metrics_has_its_backlog_too(settings) -> None:
    settings.METRICS_KINDS = 1
    enqueue_one()
    enqueue_one(kind="divide")
    counted(0)
    assert RollupState.objects.get().pending == {"sum": 1, "_other": 1}
    assert backlog("hour", 0, "divide")[-1] == (1, 1)


def test_old_minutes_are_forgotten_and_hours_stay() -> None:
    enqueue_one()
    counted(0)
    counted(60 * 4)
    kept = set(JobRollup.objects.filter(kind="sum", pending=1).values_list("span", "start"))
    four = NOON + timedelta(hours=4)
    assert kept == {
        ("minute", four), ("quarter", NOON), ("quarter", four), ("hour", NOON), ("hour", four),
    }  # fmt: skip


def test_many_kinds_are_one_statement_as_two_are() -> None:
    def statements(minutes: float) -> int:
        with CaptureQueriesContext(connection) as asked:
            counted(minutes)
        return len([query for query in asked if "INTO jobs_jobrollup AS r (span, start, kind, pending" in query["sql"]])

    enqueue_one()
    enqueue_one(kind="divide")
    assert statements(0) == 1
    JobKind.objects.bulk_create([JobKind(name=f"k{n}") for n in range(200)])
    Job.objects.bulk_create([Job(kind_id=f"k{n}", payload={}, run_at=Now()) for n in range(200)])
    assert statements(2) == 1
    assert JobRollup.objects.filter(span=Span.HOUR, pending=1).count() == 202


def test_a_dry_run_keeps_none() -> None:
    enqueue_one()
    call_command("sweep_stuck", "--dry-run")
    assert not JobRollup.objects.exists()
    call_command("sweep_stuck")
    assert JobRollup.objects.get(span=Span.MINUTE, kind="sum").pending == 1
