"""The queue of each kind: what waits, what is held, what ends and how long it takes, and who serves it."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from jobs import lifecycle
from jobs.lifecycle import By
from jobs.lists import queues
from jobs.models import Job, JobKind, JobRollup
from jobs.stats import counts, recent, rollup
from tests.cast import bot_named, enqueue_one, make_older, take_one

pytestmark = pytest.mark.django_db
KINDS = reverse("admin:jobs_jobkind_changelist")


@pytest.fixture
def sums():
    """The queue of kind sum, as it is now."""

    def look():
        (queue,) = queues.queues([JobKind.objects.get(name="sum")])
        return queue

    return look


def ran(bot, seconds, **fields):
    """A job that has succeeded after so many seconds."""
    lease = take_one(bot, **fields)
    lease.complete(1)
    Job.objects.filter(pk=lease.id).update(started_at=Now() - timedelta(seconds=seconds))
    return lease


def counted():
    rollup.add_closed_minutes(timezone.now() + timedelta(minutes=2))


def test_what_is_pending_due_and_held_is_counted(sums, ada):
    take_one(ada)
    old = enqueue_one()
    make_older(old, 30)
    enqueue_one()
    enqueue_one(run_at=timezone.now() + timedelta(hours=1))
    queue = sums()
    assert (queue.pending.n, queue.due.n, queue.held, queue.oldest_id) == (3, 2, 1, old.pk)
    assert (queue.ready, queue.bots) == (1, 1)


def test_of_a_kind_that_is_paused_or_throttled_nothing_is_due_as_for_an_autoscaler(sums):
    make_older(enqueue_one(), 30)
    JobKind.objects.update(paused=True)
    queue = sums()
    assert (queue.pending.n, queue.due.n, queue.oldest, counts.workloads(["sum"])[0].due) == (1, 0, None, 0)
    JobKind.objects.update(paused=False)
    assert (sums().due.n, counts.workloads(["sum"])[0].due) == (1, 1)
    lifecycle.throttle("sum", "", 60, by=lifecycle.SWEEP)
    queue = sums()
    assert (queue.pending.n, queue.due.n, queue.oldest, counts.workloads(["sum"])[0].due) == (1, 0, None, 0)


def test_a_claim_is_counted_when_its_lease_ends_in_whatever_way(sums, ada, olga):
    ran(ada, 1)
    take_one(ada).fail(retry=True)
    held = take_one(ada)
    lifecycle.release([take_one(ada).id], by=By.operator(olga))
    counted()
    assert held.job.status == "processing"
    lately = sums().recently
    assert (lately.leases, lately.leases_a_minute, sum(lately.bars)) == (3, pytest.approx(3 / 60), 1)


def test_of_a_kind_that_only_has_pending_jobs_no_rates_are_given(sums):
    enqueue_one()
    counted()
    assert JobRollup.objects.filter(span="minute", kind="sum", pending=1).exists()
    assert (sums().recently.leases_a_minute, sums().recently.a_minute) == (None, None)


def test_beyond_a_bound_the_sweep_has_the_count(sums, monkeypatch):
    for _ in range(7):
        enqueue_one()
    rollup.add_closed_minutes()
    monkeypatch.setattr(queues, "COUNTED", 3)
    monkeypatch.setattr(queues, "COUNTED_OF_KIND", 3)
    assert str(sums().pending) == "about 7"


def test_ends_and_failures_are_those_of_the_last_counted_hour(sums, ada):
    for _ in range(3):
        ran(ada, 1)
    take_one(ada).fail(retry=False)
    counted()
    lately = sums().recently
    assert sum(lately.bars) == 4
    assert len(lately.bars) == recent.MINUTES // recent.BAR
    assert lately.failure_share == 0.25
    assert lately.a_minute == pytest.approx(4 / 60)


def test_run_times_now_stand_beside_those_of_a_week_ago(sums, ada):
    for seconds in (1, 1, 1, 100):
        ran(ada, seconds)
    counted()
    # The same, a week earlier, of jobs that were quicker.
    week = JobRollup.objects.get(span="hour", kind="sum")
    JobRollup.objects.create(
        span="hour", start=week.start - timedelta(days=7), kind="sum", succeeded=4, run_times={"10": 4}
    )
    ran_for = sums().ran
    assert 0.9 < ran_for.now.p50 < 1.2
    assert 95 < ran_for.now.p95 < 115
    assert ran_for.before.p95 == ran_for.before.p50 < 0.1


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("kind", ["divide", "idle", "sum"]), ("-kind", ["sum", "idle", "divide"]),
        ("-pending", ["sum", "divide", "idle"]), ("-oldest", ["divide", "sum", "idle"]),
        ("-p95", ["divide", "idle", "sum"]), ("p95", ["divide", "idle", "sum"]),
        ("nonsense", ["divide", "idle", "sum"]),
    ],
)  # fmt: skip
def test_the_list_is_sorted_by_any_column_and_what_has_no_figure_comes_last(client, olga, ada, sort, order):
    JobKind.objects.create(name="idle")
    enqueue_one()
    enqueue_one()
    make_older(enqueue_one(kind="divide"), 20)
    ran(ada, 50, kind="divide")
    counted()
    client.force_login(olga)
    page = client.get(KINDS, {"sort": sort})
    assert [queue.kind.name for queue in page.context["cl"].result_list] == order


def test_the_list_shows_paused_kinds_limits_and_slower_ones(client, olga, ada):
    JobKind.objects.create(name="divide", paused=True)
    ran(ada, 60)
    JobKind.objects.filter(name="sum").update(max_held=3)
    counted()
    now = JobRollup.objects.get(span="hour", kind="sum")
    JobRollup.objects.create(
        span="hour", start=now.start - timedelta(days=7), kind="sum", succeeded=4, run_times={"10": 4}
    )
    client.force_login(olga)
    answer = client.get(KINDS).content.decode()
    assert "3 held" in answer
    assert '<span class="visually-hidden"> slower</span>' in answer
    assert "1 of 1" in answer
    only = client.get(KINDS, {"paused__exact": "1"}).context["cl"].result_list
    assert [queue.kind.name for queue in only] == ["divide"]


def test_pages_of_the_list_go_on_in_its_order(client, olga):
    JobKind.objects.bulk_create([JobKind(name=f"k{n:03}") for n in range(120)])
    client.force_login(olga)
    second = client.get(KINDS, {"p": "2", "sort": "-kind"}).context["cl"].result_list
    assert [queue.kind.name for queue in second][:2] == ["k019", "k018"]
    assert client.get(KINDS, {"p": "9"}, follow=True).status_code == 200


def test_kinds_are_paused_from_the_list(client, olga):
    JobKind.objects.create(name="sum")
    client.force_login(olga)
    client.post(KINDS, {"action": "pause", "_selected_action": ["sum"]})
    assert JobKind.objects.get().paused


def test_many_kinds_ask_no_more_than_few(client, olga, django_assert_max_num_queries):
    bot_named("ada")
    JobKind.objects.bulk_create([JobKind(name=f"k{n:03}") for n in range(120)])
    client.force_login(olga)
    client.get(KINDS)
    with django_assert_max_num_queries(12):
        client.get(KINDS, {"sort": "-p95"})


def test_a_kinds_page_has_its_queue_percentiles_and_backlog_and_each_figure_once(client, olga, ada):
    ran(ada, 30)
    take_one(ada).fail(retry=False)
    make_older(enqueue_one(), 90)
    rollup.add_closed_minutes()
    counted()
    client.force_login(olga)
    answer = client.get(reverse("admin:jobs_jobkind_change", args=["sum"])).content.decode()
    assert "1</a>, 1 due" in answer
    assert "How long they took, last day" in answer
    assert "run p50 3" in answer
    assert "1 became due 1 to 2 h ago" in answer
    assert "Pending and due jobs of sum in the last day: at most 1 pending." in answer
    assert ": 1 pending, 1 due</title>" in answer
    assert '<td class="num">1</td><td class="num">1</td></tr>' in answer
    # What ended is counted in one place.
    assert answer.count("1 succeeded, 1 failed. Counted until") == 1
    assert "<dt>Succeeded</dt>" not in answer


def test_due_jobs_are_counted_by_the_hour_in_which_they_became_due(ada):
    for minutes in (10, 20, 70, 60 * 40):
        make_older(enqueue_one(), minutes)
    enqueue_one(run_at=timezone.now() + timedelta(hours=1))
    hours = queues.came_due("sum", hours=3)
    assert hours == [1, 1, 2]
