"""New jobs are refused because too many are pending: an incident says of which kind, and whose."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from alerts.incidents import reconcile
from alerts.models import Incident
from jobs.enqueue import insert, refusals
from jobs.enqueue.new_job import NewJob
from jobs.errors import TooManyPending
from jobs.models import JobKind, Refusal

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nobody_was_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "refused", refusals._Refusals())


def refuse(kind: str, by: str, key: str = "") -> None:
    with pytest.raises(TooManyPending), refusals.recorded(by, key):
        insert.enqueue([NewJob(kind, {}), NewJob(kind, {})])


def incident() -> Incident:
    reconcile.reconcile()
    return Incident.objects.get()


def test_it_says_which_kind_and_who_enqueues(db: None) -> None:
    JobKind.objects.create(name="sum", max_pending=1)
    refuse("sum", "pia", "importer (jsk_1a2b3c4d…)")
    refuse("sum", "olga")
    found = incident()
    assert (found.cause, found.about, found.kind, found.severity) == ("refused", "sum", "sum", "warning")
    assert found.title == "New sum jobs are refused: too many are pending"
    assert found.reason.startswith("The limit of 1 pending sum jobs (its `max_pending`) is reached. Since ")
    assert found.reason.endswith("are refused: pia with key importer (jsk_1a2b3c4d…); olga.")


def test_the_limit_of_the_installation_is_critical(settings: Any) -> None:
    settings.MAX_PENDING = 1
    refuse("sum", "pia")
    found = incident()
    assert (found.cause, found.about, found.severity) == ("refused", "", "critical")
    assert found.title == "New jobs are refused: too many are pending"
    assert "`MAX_PENDING`" in found.reason


def test_a_full_queue_that_nobody_adds_to_opens_none(db: None) -> None:
    JobKind.objects.create(name="sum", max_pending=2)
    insert.enqueue([NewJob("sum", {}), NewJob("sum", {})])
    reconcile.reconcile()
    assert not Incident.objects.exists()


@pytest.mark.parametrize("over", ["nobody was refused lately", "the limit is gone"])
def test_it_is_over(over: str) -> None:
    JobKind.objects.create(name="sum", max_pending=1)
    refuse("sum", "pia")
    assert incident().clear_since is None
    if over == "the limit is gone":
        JobKind.objects.update(max_pending=None)
    else:
        Refusal.objects.update(last_at=F("last_at") - timedelta(minutes=6))
    assert incident().clear_since is not None


def test_after_a_pause_the_record_of_a_caller_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "WRITE_EVERY", 0)
    JobKind.objects.create(name="sum", max_pending=1)
    refuse("sum", "pia")
    refuse("sum", "pia")
    assert Refusal.objects.get().calls == 2
    Refusal.objects.update(last_at=F("last_at") - timedelta(minutes=6), since=F("since") - timedelta(hours=1))
    refuse("sum", "pia")
    row = Refusal.objects.get()
    assert (row.calls, row.since) == (1, row.last_at)
