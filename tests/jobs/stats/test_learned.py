"""How long a job may run is learned from its kind's own recent successes, and follows them."""

import random
import re
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from bots.health import Usual
from jobs import lifecycle
from jobs.explain import policy, why
from jobs.models import Job, JobKind, Learned, RollupState
from jobs.stats import learned, rollup
from jobs.stats.learned import BLOCK, ENOUGH, LEAST, TIMES, Recent
from jobs.stats.times import ERROR, FINE, LEARNED
from jobs.sweep.run import sweep
from jobs.time_limits import limit_of
from tests.cast import make_older, take_one
from tests.race import PATIENCE, racers


def bucket(seconds):
    """The bucket of a run time."""
    return LEARNED.bucket(seconds)


def after(*runs, recent=None, each=20):
    """What is known after these run times in seconds, `each` of them to a closed minute."""
    recent = recent or Recent()
    for start in range(0, len(runs), each):
        recent = recent.and_then(Counter(bucket(seconds) for seconds in runs[start : start + each]))
    return recent


def near(seconds):
    return pytest.approx(seconds, rel=ERROR + 1e-9)


# --- The rule, without a database -----------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.05, 1.0, 2.9, 61, 5000, 200_000])
def test_a_run_time_is_known_to_within_a_twentieth(seconds):
    assert after(seconds).longest_of(1) == near(seconds)


def test_a_percentile_is_that_of_the_run_times_themselves():
    runs = [random.Random(4).lognormvariate(2, 1) for _ in range(900)]
    for share in (0.5, 0.9, 0.99):
        assert after(*runs).longest_of(share) == near(sorted(runs)[int(share * 900 + 0.999) - 1])


def test_there_is_no_limit_before_there_are_enough_successes():
    assert after(*[100] * (ENOUGH - 1)).limit is None
    assert after(*[100] * ENOUGH).limit is not None
    assert Recent().limit is None
    assert Recent().usual is None


def test_the_limit_is_three_times_the_99th_percentile():
    assert TIMES == 3
    limit = after(*[100] * ENOUGH).limit
    assert limit.total_seconds() == pytest.approx(300, rel=ERROR + 0.01)


def test_the_limit_is_never_less_than_a_minute():
    assert after(*[2] * ENOUGH).limit == LEAST == timedelta(minutes=1)


@pytest.mark.parametrize("known", [ENOUGH, BLOCK, 2 * BLOCK, 7 * BLOCK])
def test_one_outlier_does_not_move_the_limit(known):
    before = after(*[100] * (known - 1))
    assert after(86_400, recent=before).limit == after(100, recent=before).limit


@pytest.mark.parametrize("a_minute", [1, 7, 20, 50])
def test_a_kind_that_becomes_slower_for_good_is_followed_within_eleven_jobs(a_minute):
    for known in range(ENOUGH, 4 * BLOCK, 83):
        before = after(*[100] * known, each=a_minute)
        slow = after(*[200] * 11, recent=before, each=a_minute)
        assert slow.limit.total_seconds() == pytest.approx(600, rel=ERROR + 0.01), known


@pytest.mark.parametrize("a_minute", [1, 7, 20, 50])
def test_a_kind_that_becomes_quicker_for_good_is_followed_within_two_blocks(a_minute):
    for known in range(ENOUGH, 4 * BLOCK, 83):
        before = after(*[200] * known, each=a_minute)
        assert before.limit.total_seconds() > 500
        quick = after(*[100] * (2 * BLOCK + 3 * a_minute), recent=before, each=a_minute)
        assert quick.limit.total_seconds() == pytest.approx(300, rel=ERROR + 0.01), known


@pytest.mark.parametrize("a_minute", [51, 200, 499, 500, 20_000])
def test_a_busy_kind_is_followed_by_the_minute(a_minute):
    for known in (2, 3, 5, 7):
        busy = after(*[100] * (a_minute * known), each=a_minute)
        slow = after(*[200] * a_minute, recent=busy, each=a_minute)
        assert slow.limit.total_seconds() == pytest.approx(600, rel=ERROR + 0.01)
    quick = after(*[50] * (2 * BLOCK + 3 * a_minute), recent=busy, each=a_minute)
    assert quick.limit.total_seconds() == pytest.approx(150, rel=ERROR + 0.01)


def test_from_one_to_two_blocks_of_successes_are_kept():
    seen = {after(*[1] * known, each=1).jobs for known in range(BLOCK, 5 * BLOCK, 7)}
    assert min(seen) >= BLOCK
    assert max(seen) <= 2 * BLOCK


def test_what_is_usual_is_a_round_time_that_most_stay_within():
    assert after(*[2.5] * 41, *[40] * 9).usual == Usual(41, 50, timedelta(seconds=3))
    assert after(*[2.5] * 30, *[40] * 20).usual == Usual(50, 50, timedelta(minutes=1))


def test_the_steps_of_a_chart_have_every_job_once_and_are_few():
    recent = after(*[random.Random(7).lognormvariate(3, 2) for _ in range(700)])
    steps = recent.steps(most=30)
    assert len(steps) <= 30
    assert sum(n for _, n in steps) == recent.jobs
    assert [seconds for seconds, _ in steps] == sorted(seconds for seconds, _ in steps)
    assert Recent().steps() == []


# --- Learned by the sweep -------------------------------------------------------------------------------------


def succeeded(ada, many, seconds, at, kind="sum"):
    """So many jobs of ada's that succeeded at this moment, after running for so long."""
    for _ in range(many):
        lease = take_one(ada, kind=kind)
        lease.complete(1)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE jobs_job SET finished_at = %s, started_at = %s WHERE id = %s",
                [at, at - timedelta(seconds=seconds), lease.id],
            )


@pytest.fixture
def enough(monkeypatch):
    """Few are enough here: what is tried is who reads the limit, not the rule."""
    monkeypatch.setattr(learned, "ENOUGH", 4)


@pytest.fixture
def now():
    return timezone.now().replace(second=45, microsecond=0)


@pytest.mark.django_db
def test_the_sweep_learns_from_what_succeeded_and_from_nothing_else(ada, now, enough):
    succeeded(ada, 4, 100, now - timedelta(minutes=3))
    succeeded(ada, 3, 100, now - timedelta(minutes=3), kind="divide")
    take_one(ada).fail(retry=False)
    rollup.add_closed_minutes(now)
    row = Learned.objects.get(kind="sum")
    assert (row.jobs, row.quick, row.under) == (4, 4, timedelta(minutes=2))
    limits = dict(JobKind.objects.values_list("name", "learned_run_within"))
    assert limits["sum"].total_seconds() == pytest.approx(300, rel=0.06)
    assert limits["divide"] is None


@pytest.mark.django_db
def test_nothing_is_learned_twice_and_nothing_old_is_read_again(ada, now, enough):
    succeeded(ada, 4, 100, now - timedelta(minutes=3))
    rollup.add_closed_minutes(now)
    rollup.add_closed_minutes(now)
    assert Learned.objects.get().jobs == 4
    succeeded(ada, 2, 100, now - timedelta(seconds=10))
    # A count that a busy machine made slow would not be paid for in a minute.
    RollupState.objects.update(pending_took=0)
    with CaptureQueriesContext(connection) as queries:
        rollup.add_closed_minutes(now + timedelta(minutes=1))
    assert Learned.objects.get().jobs == 6
    # The jobs of the closed minute are read once, for the rollup and for this; those that are pending are counted.
    reading = [query["sql"].split(":")[0] for query in queries if "FROM jobs_job\n" in query["sql"]]
    assert reading == ["-- Add minutes", "-- Count claims", "-- Count pending"]


@pytest.mark.django_db(transaction=True)
def test_two_sweeps_at_once_learn_nothing_twice(ada, now, enough):
    succeeded(ada, 5, 100, now - timedelta(minutes=3))
    with racers() as race:
        with transaction.atomic():
            rollup.add_closed_minutes(now)
            assert race.go(lambda: rollup.add_closed_minutes(now)).result(PATIENCE) == 0
        assert race.go(lambda: rollup.add_closed_minutes(now)).result(PATIENCE) == 0
    assert Learned.objects.get().jobs == 5


@pytest.mark.django_db
def test_a_kind_whose_limit_stays_is_not_written_to(ada, now, enough):
    succeeded(ada, 4, 100, now - timedelta(minutes=3))
    rollup.add_closed_minutes(now)
    succeeded(ada, 1, 100, now - timedelta(seconds=10))
    with CaptureQueriesContext(connection) as queries:
        rollup.add_closed_minutes(now + timedelta(minutes=1))
    assert not [query for query in queries if 'UPDATE "jobs_jobkind"' in query["sql"]]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("own", "known", "seconds"),
    [
        (None, None, 600),
        (None, timedelta(seconds=90), 90),
        (timedelta(seconds=40), timedelta(seconds=90), 40),
        (timedelta(seconds=40), None, 40),
    ],
)
def test_the_same_limit_counts_for_claims_heartbeats_the_sweep_and_what_is_shown(ada, own, known, seconds):
    JobKind.objects.create(
        name="sum", run_within=own, learned_run_within=known, heartbeat_within=timedelta(hours=9), when_overdue="fail"
    )
    limit = timedelta(seconds=seconds)
    kind = JobKind.objects.get()
    assert limit_of(kind) == limit
    claimed, beating = take_one(ada), take_one(ada)
    assert claimed.job.deadline_at - claimed.job.started_at == limit
    beating.heartbeat()
    assert beating.job.deadline_at - beating.job.started_at == limit
    (check,) = lifecycle.check_leases(Job.objects.filter(pk=claimed.id))
    assert check.limits.run_within == limit
    make_older(claimed, seconds / 60 - 0.4)
    assert not Job.objects.stuck().exists()
    make_older(claimed, 0.5)
    assert Job.objects.stuck().get().pk == claimed.id
    make_older(claimed, seconds / 60 * 2)
    sweep()
    assert (claimed.job.status, beating.job.status) == ("failed", "processing")
    assert policy.policy(kind)["run_within"].startswith(f"Running for longer than {why.words(limit)}:")


@pytest.mark.django_db
def test_a_lease_that_is_open_meets_a_new_limit_at_its_next_heartbeat(ada):
    lease = take_one(ada)
    JobKind.objects.update(learned_run_within=timedelta(seconds=70))
    assert lease.job.deadline_at - lease.job.started_at == timedelta(minutes=2)
    lease.heartbeat()
    assert lease.job.deadline_at - lease.job.started_at == timedelta(seconds=70)


@pytest.mark.django_db
def test_a_bots_reason_says_what_is_usual(ada):
    lease = take_one(ada)
    learned.learn([("sum", FINE.bucket(2.5), 41), ("sum", FINE.bucket(50), 9)])
    make_older(lease, 3)
    sweep()
    ada.refresh_from_db()
    assert re.fullmatch(
        rf"silent for 3 m( \d+ s)? on sum job {lease.id}, limit 2 m; 41 of the last 50 sum jobs took under 3 s",
        ada.health_reason,
    )


@pytest.mark.django_db
def test_the_kinds_page_shows_the_limit_and_what_it_was_learned_from(client, olga, ada, now):
    client.force_login(olga)
    take_one(ada)
    url = reverse("admin:jobs_jobkind_change", args=["sum"])
    assert "Nothing is learned yet" in client.get(url).content.decode()
    learned.learn([("sum", FINE.bucket(100), 60)])
    said = client.get(url).content.decode()
    assert "How long a job may run: 10 m, the installation&#x27;s default" in said
    assert "none yet: 60 of 100 successes needed" in said
    learned.learn([("sum", FINE.bucket(100), 60)])
    said = client.get(url).content.decode()
    limit = why.words(JobKind.objects.get().learned_run_within)
    assert f"How long a job may run: {limit}, learned from its successes" in said
    assert "120 successes" in said
    assert 'aria-label="Run times of the last 120 successes.' in said


@pytest.mark.django_db
def test_a_limit_set_on_the_kinds_page_goes_before_and_leaves_what_was_learned(client, olga, ada):
    client.force_login(olga)
    take_one(ada)
    learned.learn([("sum", FINE.bucket(100), 200)])
    url = reverse("admin:jobs_jobkind_change", args=["sum"])
    form = client.get(url).context["adminform"].form
    data = {name: form.initial[name] for name in form.fields if form.initial.get(name) is not None}
    assert client.post(url, data | {"run_within": "00:00:45"}).status_code == 302
    kind = JobKind.objects.get()
    assert (kind.run_within, limit_of(kind)) == (timedelta(seconds=45), timedelta(seconds=45))
    assert kind.learned_run_within is not None
    # What the sweep learns while the page is open is not undone by saving it.
    stale = kind.learned_run_within
    learned.learn([("sum", FINE.bucket(1000), 200)])
    assert client.post(url, data | {"run_within": ""}).status_code == 302
    kind.refresh_from_db()
    assert limit_of(kind) == kind.learned_run_within > stale
