"""What the admin's actions check themselves, whatever the pages before them have checked."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.urls import reverse
from psycopg.errors import LockNotAvailable

from bots.models import AuditEntry, Bot
from jobs import lifecycle
from jobs.admin.actions import INTERVENTIONS, Intervention, act, confirmation
from jobs.admin.jobs import JobAdmin
from jobs.lifecycle import By
from jobs.models import Job, JobEvent
from jobs.states import JobStatus, Verb
from jobs.transitions import OPERATIONS
from jobsite.lib import outcomes
from tests.cast import Lease, take_one

pytestmark = pytest.mark.django_db

EACH = pytest.mark.parametrize("intervention", INTERVENTIONS.values(), ids=INTERVENTIONS)


@pytest.fixture
def all_but_one(db: None) -> Callable[[Intervention], User]:
    """An operator who may carry out every operation but this one."""

    def make(intervention: Intervention) -> User:
        user = User.objects.create_user("otto", is_staff=True)
        of_jobs = Permission.objects.filter(content_type=ContentType.objects.get_for_model(Job))
        user.user_permissions.set(of_jobs.exclude(codename=f"{intervention.name}_job"))
        return user

    return make


def request_by(user: User) -> HttpRequest:
    request = RequestFactory().post("/")
    request.user = user
    return request


def given(intervention: Intervention) -> dict[str, Any]:
    return {"reason": ""} | ({"priority": 5} if intervention.asks_priority else {})


@EACH
def test_an_action_checks_its_own_permission(
    intervention: Intervention, all_but_one: Callable[[Intervention], User], ada: Bot
) -> None:
    lease = take_one(ada)
    before = Job.objects.filter(pk=lease.id).values().get()
    with pytest.raises(PermissionDenied):
        act(request_by(all_but_one(intervention)), intervention, [lease.id], given(intervention))
    assert Job.objects.filter(pk=lease.id).values().get() == before
    assert not JobEvent.objects.exists()


@EACH
def test_a_confirmation_checks_the_permission_of_its_action(
    intervention: Intervention, all_but_one: Callable[[Intervention], User], ada: Bot
) -> None:
    jobs = Job.objects.filter(pk=take_one(ada).id)
    page = JobAdmin(Job, admin.site)
    with pytest.raises(PermissionDenied):
        confirmation(page, request_by(all_but_one(intervention)), intervention, jobs, "/")


@EACH
def test_the_permission_of_an_action_alone_is_enough_for_it(intervention: Intervention, db: None) -> None:
    user = User.objects.create_user("otto", is_staff=True)
    of_jobs = Permission.objects.filter(content_type=ContentType.objects.get_for_model(Job))
    user.user_permissions.set(of_jobs.filter(codename=f"{intervention.name}_job"))
    assert [i.name for i in INTERVENTIONS.values() if i.allowed(user)] == [intervention.name]


def test_the_console_offers_every_operation_of_the_table_of_transitions() -> None:
    # These have forms of their own.
    assert {*INTERVENTIONS, "edit", "take_back"} == set(OPERATIONS)


# --- A late result --------------------------------------------------------------------------------------------


@pytest.fixture
def released(ada: Bot, olga: User) -> Lease:
    lease = take_one(ada)
    lifecycle.release([lease.id], by=By.operator(olga))
    return lease


def offers_accept(client: Client, olga: User, lease: Lease) -> tuple[bool, bool]:
    """Whether the job's page has the button, and whether the confirmation leaves the job alone."""
    client.force_login(olga)
    address = reverse("admin:jobs_job_accept", args=[lease.id])
    button = f'href="{address}"' in client.get(reverse("admin:jobs_job_change", args=[lease.id])).content.decode()
    return button, "Skipped: 1" in client.get(address).content.decode()


def test_a_late_completion_can_be_accepted(client: Client, olga: User, released: Lease) -> None:
    released.complete(42)
    assert offers_accept(client, olga, released) == (True, False)


def test_a_late_failure_cannot_be_accepted(client: Client, olga: User, released: Lease) -> None:
    released.fail("no disk")
    assert JobEvent.objects.filter(job=released.id, verb=Verb.LATE).exists()
    assert offers_accept(client, olga, released) == (False, True)
    assert lifecycle.accept([released.id], by=By.operator(olga)) == []
    assert released.job.status == JobStatus.PENDING


def test_a_failure_after_some_jobs_were_changed_is_none_that_changed_nothing(
    ada: Bot, olga: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.admin.actions.BATCH_SIZE", 1)
    leases = [take_one(ada), take_one(ada)]
    release = lifecycle.release
    refusal = OperationalError("locked")
    refusal.__cause__ = LockNotAvailable("locked")

    def fail_at_the_second(ids: list[int], **given: Any) -> Any:
        if ids == [leases[1].id]:
            raise refusal
        return release(ids, **given)

    intervention = replace(INTERVENTIONS["release"], verb=fail_at_the_second)
    with pytest.raises(OperationalError, match="1 jobs were changed before this") as raised:
        act(request_by(olga), intervention, [lease.id for lease in leases], {"reason": ""})
    assert outcomes.nothing_done(refusal)
    assert not outcomes.nothing_done(raised.value)
    assert leases[0].job.status == JobStatus.PENDING


def test_an_entry_of_the_audit_log_is_written_with_the_change_or_neither_is(
    ada: Bot, olga: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = take_one(ada)

    def fail(*_: Any, **__: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(AuditEntry.objects, "bulk_create", fail)
    with pytest.raises(OperationalError):
        act(request_by(olga), INTERVENTIONS["release"], [lease.id], {"reason": ""})
    assert lease.job.claimed_by == ada
    monkeypatch.undo()
    act(request_by(olga), INTERVENTIONS["release"], [lease.id], {"reason": ""})
    assert lease.job.claimed_by is None
    assert AuditEntry.objects.get(verb="release").by == "olga"
