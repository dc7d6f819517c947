"""Two sweeps at once, two real connections: one incident."""

import pytest
from django.db import IntegrityError, connection, transaction

from alerts.incidents import acknowledge, detectors, reconcile
from alerts.models import Incident
from bots.audit import Who
from jobs.sweep.run import sweep
from jobsite.lib.locks import Lock
from tests.alerts.passing import look, the_one
from tests.cast import make_older, take_one
from tests.race import PATIENCE, racers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stuck(ada):
    lease = take_one(ada)
    make_older(lease, 3)
    sweep()
    return lease


def test_while_one_pass_is_under_way_another_does_not_begin_and_does_not_wait(stuck, monkeypatch):
    others = []
    real = detectors.detect

    def looked(*args, **kwargs):
        found = real(*args, **kwargs)
        if not others:
            others.append(run.go(reconcile.reconcile))
            others.append(run.go(reconcile.check_sweep_overdue))
            assert [other.result(PATIENCE) for other in others] == [None, None]
        return found

    with racers() as run:
        monkeypatch.setattr(detectors, "detect", looked)
        assert look().opened == 1
    assert the_one().state == 1


def test_many_passes_at_once_open_one_incident_and_tell_it_once(stuck, told):
    with racers() as run:
        passes = [run.go(reconcile.reconcile) for _ in range(8)]
        done = [future.result(PATIENCE) for future in passes]
    assert sum(one.opened for one in done if one is not None) == 1
    assert the_one().bots.count() == 1
    assert len(told) == 1


def test_the_database_itself_refuses_a_second_one(stuck):
    look()
    with pytest.raises(IntegrityError, match="incident_open_once"):
        Incident.objects.create(cause="stuck", about="sum", severity="warning", title="again")


def test_a_pass_that_breaks_leaves_nothing_behind_and_the_next_makes_it_good(stuck, told, monkeypatch):
    from alerts.delivery import outbox

    def breaks(incident, moment):
        raise RuntimeError("the outbox is full")

    with monkeypatch.context() as broken:
        broken.setattr(outbox, "enqueue_notifications", breaks)
        with pytest.raises(RuntimeError):
            reconcile.reconcile()
    assert not Incident.objects.exists()
    assert look().opened == 1
    assert len(told) == 1


def test_an_acknowledgement_that_comes_in_between_is_not_overwritten(stuck, olga):
    """The pass has read the incident; it must not write back that nobody has it."""
    look()
    incident = the_one()
    with racers() as run:
        with transaction.atomic():
            Incident.objects.select_for_update().get(pk=incident.pk)
            passing = run.go_and_block(reconcile.reconcile)
            Incident.objects.filter(pk=incident.pk).update(acknowledged_at="2026-01-01T00:00Z", acknowledged_by="olga")
        passing.result(PATIENCE)
    assert the_one().acknowledged_by == "olga"


def test_an_acknowledgement_waits_for_a_pass_and_then_counts(stuck):
    look()
    incident = the_one()
    with racers() as run:
        with transaction.atomic():
            Incident.objects.select_for_update().get(pk=incident.pk)
            taking = run.go_and_block(lambda: acknowledge.acknowledge([incident.pk], by=Who("olga")))
        assert [i.pk for i in taking.result(PATIENCE)] == [incident.pk]


def test_a_session_that_keeps_an_incident_locked_does_not_hold_a_pass_up_for_ever(stuck, monkeypatch):
    look()
    incident = the_one()
    monkeypatch.setattr(reconcile, "LOCK_TIMEOUT", "50ms")
    with racers() as run, transaction.atomic():
        Incident.objects.select_for_update().get(pk=incident.pk)
        passed = run.go(reconcile.reconcile).result(PATIENCE)
    assert (passed.opened, passed.resolved) == (0, 0)
    assert the_one().changed_at == incident.changed_at


def test_the_lock_ends_with_the_pass(stuck):
    look()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s "
            # The tests beside this one have their own databases in the same server.
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            [Lock.RECONCILE],
        )
        assert cursor.fetchone() == (0,)
