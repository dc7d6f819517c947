"""A stuck job may be handed back while a page or a call that shows it is made."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from bots import roster
from bots.models import Bot
from jobs.models import Job
from tests.cast import Lease, make_older, take_one

pytestmark = pytest.mark.django_db


def ending(lease: Lease) -> Callable[..., Any]:
    """A wrapper of statements: before the ages of leases are read, the bot hands its job back."""

    def run(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if "max_attempts" in sql and "AS" in sql and "payload" not in sql and Job.objects.held().exists():
            lease.hand_back()
        return execute(sql, params, many, context)

    return run


@pytest.fixture
def lease(ada: Bot) -> Lease:
    stuck = take_one(ada)
    make_older(stuck, minutes=9)
    return stuck


def test_what_is_stuck_leaves_a_job_out_that_was_just_handed_back(
    client: Client, admin_user: User, lease: Lease
) -> None:
    _, key = roster.create_key(admin_user)
    with connection.execute_wrapper(ending(lease)):
        answer = client.get("/api/v1/stuck", headers={"Authorization": f"Bearer {key}"})
    assert (answer.status_code, answer.json()["jobs"]) == (200, [])
    assert lease.job.status == "pending"


def test_home_leaves_it_out_as_well(admin_client: Client, lease: Lease) -> None:
    with connection.execute_wrapper(ending(lease)):
        page = admin_client.get("/admin/")
    assert page.status_code == 200
    assert f'id="stuck-{lease.id}"' not in page.content.decode()
    assert lease.job.status == "pending"


def test_an_explanation_says_that_it_is_changing_hands(client: Client, admin_user: User, lease: Lease) -> None:
    _, key = roster.create_key(admin_user)
    with connection.execute_wrapper(ending(lease)):
        answer = client.get(f"/api/v1/jobs/{lease.id}/explain", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 200
    assert "changing hands" in answer.content.decode()
