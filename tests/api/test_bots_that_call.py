"""A bot that calls is alive: whatever it calls, it is not down any more, however lately it was seen."""

import pytest
from django.db.models.functions import Now
from django.test import Client

from bots.models import Bot
from tests.api.calls import BOT, CALLS, Call, send
from tests.cast import Lease, take_one

pytestmark = pytest.mark.django_db


@pytest.fixture
def lease(ada: Bot) -> Lease:
    """What ada holds, who is down and was seen just now."""
    lease = take_one(ada)
    Bot.objects.filter(pk=ada.pk).update(status="down", last_seen_at=Now())
    return lease


@pytest.mark.parametrize("call", [call for call in CALLS if call.for_bots], ids=str)
def test_a_bot_that_was_down_is_back_with_its_first_call(
    client: Client, ada: Bot, ada_token: str, lease: Lease, call: Call
) -> None:
    answer = send(client, ada_token, call.method, call.path.format(job_id=lease.id), call.body_of(BOT))
    assert answer.status_code == 200, answer.content
    ada.refresh_from_db()
    assert ada.status == ("busy" if ada.held_jobs.exists() else "idle")


def test_a_call_that_is_refused_is_a_sign_of_life_too(client: Client, ada: Bot, ada_token: str, lease: Lease) -> None:
    answer = send(client, ada_token, "POST", f"/jobs/{lease.id}/complete", {"attempt": 7})
    assert answer.status_code == 409
    ada.refresh_from_db()
    assert ada.status == "busy"
