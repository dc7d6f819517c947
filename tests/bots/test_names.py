"""What a bot, its processes and its kinds may be called, at every entrance; and names that are there stay."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from bots.models import Bot
from jobsite.lib.names import fault, header_fault
from tests.cast import bot_named

pytestmark = pytest.mark.django_db

BAD = ["a\nb", "\x1b[2J", "a\u202egnp", "a\u200bb", " a", "a ", "a\u00a0b", "a\u3000b", "a\tb", "\x7f", "\u2028"]
GOOD = ["a", "crawler-1", "größe", "机器人 7", "a b", "(x) 'y' <z> & \"q\""]
BAD_KINDS = ["resize mail", "resize;mail", "größe", "-x", "a\n"]

Api = Callable[[str, dict[str, Any]], HttpResponse]


@pytest.fixture
def api(client: Client, olga_key: str) -> Api:
    headers = {"authorization": f"Bearer {olga_key}"}

    def post(path: str, body: dict[str, Any]) -> HttpResponse:
        response: HttpResponse = client.post(f"/api/v1{path}", body, content_type="application/json", headers=headers)
        return response

    return post


@pytest.fixture
def people(client: Client, admin_user: Any) -> Client:
    client.force_login(admin_user)
    return client


def create_bot(*args: str) -> None:
    call_command("create_bot", *args, stdout=io.StringIO())


def form(**fields: str) -> dict[str, str]:
    return {"name": "x", "kinds": "", "capacity": "", "expected": "on"} | fields


@pytest.mark.parametrize("name", GOOD)
def test_a_name_of_what_can_be_seen_is_good(api: Api, name: str) -> None:
    assert fault(name) == ""
    assert api("/bots", {"name": name}).status_code == 201


@pytest.mark.parametrize("name", BAD)
def test_a_name_with_what_cannot_be_seen_is_refused_everywhere(api: Api, people: Client, name: str) -> None:
    answer = api("/bots", {"name": name})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("name: ")  # type: ignore[attr-defined]
    with pytest.raises(CommandError, match="name: "):
        create_bot(name)
    # A form's field loses the blanks at its ends.
    if name == name.strip():
        page = people.post(reverse("admin:bots_bot_add"), form(name=name))
        assert list(page.context["adminform"].form.errors) == ["name"]
    assert not Bot.objects.exists()


@pytest.mark.parametrize("kind", BAD_KINDS)
def test_a_bots_kinds_follow_the_rule_of_kinds_everywhere(api: Api, people: Client, kind: str) -> None:
    assert api("/bots", {"name": "x", "kinds": [kind]}).status_code == 422
    with pytest.raises(CommandError, match="kinds: "):
        create_bot("x", "--kinds", kind)
    page = people.post(reverse("admin:bots_bot_add"), form(kinds=kind.replace("\n", "\x00")))
    assert list(page.context["adminform"].form.errors) == ["kinds"]
    assert not Bot.objects.exists()


def test_a_bot_with_a_name_from_before_can_be_changed(people: Client) -> None:
    bot = bot_named("a\u202eb")
    people.post(reverse("admin:bots_bot_change", args=[bot.pk]), form(name="other", kinds="sum"))
    bot.refresh_from_db()
    assert (bot.name, bot.kinds) == ("a\u202eb", ["sum"])


@pytest.mark.parametrize("instance", ["host7 ", " host7", "host7\n", "host\t7", "größe", "a\x00"])
def test_a_process_has_a_name_that_its_header_can_carry(client: Client, ada_token: str, instance: str) -> None:
    assert header_fault(instance)
    headers = {"authorization": f"Bearer {ada_token}"}
    answer = client.post("/api/v1/hello", {"instance": instance}, content_type="application/json", headers=headers)
    assert answer.status_code == 422
    assert "instance: " in answer.json()["detail"]


def test_a_process_says_hello_and_claims_by_the_same_name(client: Client, ada_token: str) -> None:
    headers = {"authorization": f"Bearer {ada_token}", "bot-instance": "host 7/4711:c3d4"}
    body = {"instance": headers["bot-instance"]}
    assert client.post("/api/v1/hello", body, content_type="application/json", headers=headers).status_code == 200
    assert client.post("/api/v1/claim", {}, content_type="application/json", headers=headers).status_code == 200
