"""Whether a bot is missed when it stops calling, as operators set it by the API."""

from typing import Any

import pytest
from django.test import Client

from bots.models import Bot
from tests.api.calls import send

pytestmark = pytest.mark.django_db


@pytest.fixture
def expect(client: Client, olga_key: str, ada: Bot) -> Any:
    """`expect(True)`: the answer."""
    return lambda expected: send(client, olga_key, "POST", f"/bots/{ada.pk}/expect", {"expected": expected}).json()


def test_a_bot_that_comes_and_goes_is_not_expected_and_is_again_when_somebody_says_so(
    expect: Any, client: Client, olga_key: str, ada: Bot
) -> None:
    for expected, status in ((False, "not_expected"), (True, "expected")):
        said = expect(expected)
        assert (said["bot_id"], said["status"], said["released"]) == (ada.pk, status, [])
        assert "before" not in said["message"]
        assert send(client, olga_key, "GET", f"/bots/{ada.pk}").json()["expected"] is expected
        assert expect(expected)["message"].endswith("; so it was before.")


def test_a_bot_can_be_registered_as_one_that_is_not_expected(client: Client, olga_key: str) -> None:
    for name, more, expected in (("carl", {}, True), ("dora", {"expected": False}, False)):
        answer = send(client, olga_key, "POST", "/bots", {"name": name} | more)
        assert (answer.status_code, answer.json()["expected"]) == (201, expected)
        assert Bot.objects.get(name=name).expected is expected
