"""A job that expired goes to another instance first; one in quarantine is probed; and a kind that hangs is found."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.db.models.functions import Now

from alerts.incidents import hanging
from bots.models import Bot
from jobs import lifecycle
from jobs.states import JobStatus
from jobs.sweep import verdicts
from jobs.sweep.run import sweep
from tests.cast import Lease, enqueue_one, make_older, put_in_quarantine, take_one
from tests.jobs.sweep.later import time_passes
from tests.race import in_order

pytestmark = pytest.mark.django_db


def hang(lease):
    make_older(lease, 7)
    sweep()


def claim(bot, instance=""):
    return [Lease(bot, claimed.id, claimed.attempt) for claimed in lifecycle.claim(bot, instance=instance)]


# --- Another bot first ------------------------------------------------------------------------------------------------


def test_a_job_that_expired_goes_to_another_bot_first(ada, bob):
    claim(bob)
    lease = take_one(ada)
    hang(lease)
    assert claim(ada) == []
    assert [again.id for again in claim(bob)] == [lease.id]


def test_another_instance_of_the_same_bot_is_another(ada):
    for pod in ("pod-1", "pod-2"):
        lifecycle.hello(ada, instance=pod, identity=pod)
    claim(ada, "pod-2")
    job = enqueue_one()
    (lease,) = claim(ada, "pod-1")
    hang(lease)
    assert claim(ada, "pod-1") == []
    assert [again.id for again in claim(ada, "pod-2")] == [job.pk]


def test_after_a_minute_it_goes_to_any_bot(ada, bob):
    claim(bob)
    lease = take_one(ada)
    hang(lease)
    time_passes(61)
    assert [again.id for again in claim(ada)] == [lease.id]


@pytest.mark.parametrize(
    "other",
    [
        "none", "paused", "down", "of another kind", "asking for another kind", "revoked", "a paused instance",
        "without a free slot", "to restart", "in quarantine",
    ],
)  # fmt: skip
def test_where_no_other_bot_is_well_the_same_bot_gets_it_at_once(ada, bob, other):
    lifecycle.claim(bob, kinds=["divide"] if other.startswith("asking") else None)
    change = {"paused": {"paused": True}, "of another kind": {"kinds": ["divide"]}, "revoked": {"token_digest": None}}
    Bot.objects.filter(pk=bob.pk).update(**change.get(other, {"version": "2"}))
    own = {
        "none": {"ended_at": Now()}, "down": {"last_seen_at": Now() - timedelta(minutes=3)},
        "a paused instance": {"paused": True}, "without a free slot": {"slots": 2, "slots_lost": 2},
        "to restart": {"restart_requested_at": Now()}, "in quarantine": {"quarantined_at": Now(), "probe_at": Now()},
    }  # fmt: skip
    bob.instances.update(**own.get(other, {"version": "2"}))
    lease = take_one(ada)
    hang(lease)
    assert [again.id for again in claim(ada)] == [lease.id]


def test_claims_of_several_kinds_pass_over_it_too(ada, bob):
    claim(bob)
    hang(take_one(ada))
    other = enqueue_one("divide")
    found = [lifecycle.claim(ada, kinds=kinds) for kinds in (["sum"], ["divide", "sum"])]
    assert [[claimed.id for claimed in claimed] for claimed in found] == [[], [other.pk]]


def test_an_operators_retry_forgets_whom_it_hung(ada, bob, olga):
    claim(bob)
    lease = take_one(ada, max_attempts=1)
    hang(lease)
    lifecycle.retry([lease.id], by=lifecycle.By.operator(olga))
    assert (lease.job.not_for, lease.job.not_for_until) == (None, None)


# --- Probes -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def left_out(ada):
    """Ada, in quarantine; her next probe is due in 10 s."""
    claim(ada)
    put_in_quarantine(ada)
    return ada


def test_a_bot_in_quarantine_gets_one_job_when_its_probe_is_due(left_out):
    for _ in range(3):
        enqueue_one()
    assert lifecycle.claim(left_out, limit=3) == []
    time_passes(11)
    assert len(lifecycle.claim(left_out, limit=3)) == 1
    # It holds one: no other until that is over.
    time_passes(3601)
    assert lifecycle.claim(left_out, limit=3) == []


@pytest.mark.django_db(transaction=True)
def test_of_two_claims_at_the_same_time_one_gets_the_probe(left_out):
    for _ in range(2):
        enqueue_one()
    left_out.instances.update(probe_at=Now())
    both = in_order(left_out, lambda: len(claim(left_out)), lambda: len(claim(left_out)))
    assert both == (1, 0)


def test_probes_come_ever_later_and_once_an_hour_at_last(left_out):
    waits = []
    for _ in range(11):
        enqueue_one()
        time_passes(3601)
        (lease,) = claim(left_out)
        left = left_out.instances.annotate(wait=F("probe_at") - Now()).get().wait
        waits.append(left.total_seconds())
        lease.hand_back()
    # A busy machine may take a while from the claim to the look.
    assert waits[:4] == pytest.approx([20, 40, 80, 160], abs=5)
    assert waits[-1] == pytest.approx(3600, abs=5)


def test_a_probe_that_succeeds_ends_the_quarantine(left_out):
    enqueue_one()
    time_passes(11)
    (lease,) = claim(left_out)
    lifecycle.complete([lease.report()], by=lifecycle.By.bot(left_out, ""))
    own = left_out.instances.get()
    assert (own.quarantined_at, own.quarantine_reason, own.probe_at, own.probe_level) == (None, "", None, 0)
    assert own.cleared_at is not None


def test_what_it_held_before_is_no_probe_and_does_not_end_it(ada):
    lease = take_one(ada)
    put_in_quarantine(ada)
    enqueue_one()
    ada.instances.update(probe_at=Now())
    assert len(claim(ada)) == 1
    lease.complete()
    assert Bot.objects.quarantined().exists()


def test_the_quarantine_of_an_instance_leaves_the_others_of_its_bot_alone(ada):
    for pod in ("pod-1", "pod-2"):
        lifecycle.hello(ada, instance=pod, identity=pod)
    lifecycle.quarantine({ada.instances.get(name="pod-1").pk: "it hangs"})
    enqueue_one()
    assert claim(ada, "pod-1") == []
    assert len(claim(ada, "pod-2")) == 1


@pytest.mark.parametrize("end", ["killed", "goodbye"])
def test_a_process_that_is_started_again_stays_in_quarantine_and_is_probed_at_once(ada, end):
    lifecycle.hello(ada, instance="first", identity="pod-1")
    lifecycle.quarantine({ada.instances.get().pk: "it hangs"})
    if end == "goodbye":
        lifecycle.goodbye(ada, "first")
    lifecycle.hello(ada, instance="second", identity="pod-1")
    for _ in range(3):
        enqueue_one()
    assert [len(lifecycle.claim(ada, limit=2, instance="second")) for _ in range(2)] == [1, 0]
    assert ada.quarantines[0].why_quarantined == "instance second: it hangs"


def test_a_process_of_another_identity_is_free(ada):
    lifecycle.hello(ada, instance="first", identity="pod-1")
    lifecycle.quarantine({ada.instances.get().pk: "it hangs"})
    lifecycle.hello(ada, instance="second", identity="pod-2")
    for _ in range(3):
        enqueue_one()
    assert len(lifecycle.claim(ada, limit=2, instance="second")) == 2


def test_the_expiry_of_a_probe_is_not_counted_against_the_job(left_out):
    job = enqueue_one(max_attempts=1)
    time_passes(11)
    claim(left_out)
    time_passes(7 * 60)
    sweep()
    job.refresh_from_db()
    # Nor does it end a job that has one attempt.
    assert (job.status, job.uncounted, job.max_attempts) == (JobStatus.PENDING, 1, 1)
    assert verdicts.expiries([job.pk]) == []


# --- A kind that hangs ------------------------------------------------------------------------------------------------


def test_jobs_that_expired_under_two_bots_are_an_incident_of_their_kind(ada, bob):
    claim(bob)
    lease = take_one(ada)
    hang(lease)
    assert hanging.detect() == []
    (again,) = claim(bob)
    hang(again)
    (finding,) = hanging.detect()
    assert (finding.cause, finding.about, finding.title) == ("kind_hangs", "sum", "sum jobs hang under several bots")
    why = "Expired under several bots within 1 h, none of which is in quarantine for that"
    assert finding.reason == f"{why}: job {lease.id} under ada, bob."
    assert (hanging.detect("sum"), hanging.detect("divide")) == ([finding], [])


def test_expiries_of_different_jobs_are_none(ada, bob):
    hang(take_one(ada))
    enqueue_one("divide")
    (claimed,) = lifecycle.claim(bob, kinds=["divide"])
    hang(Lease(bob, claimed.id, claimed.attempt))
    assert hanging.detect() == []
