"""What strangers wrote is stored as it came, and shown as text on each page, in mail, in chats and in files."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from alerts.delivery import messages
from alerts.models import Channel
from alerts.states import Moment
from bots.login.identities import NotAllowed, person_of
from bots.models import ApiKey, Bot
from jobs import lifecycle
from jobs.lifecycle import By
from jobs.models import Job, JobEvent
from tests.api.calls import refused, send
from tests.cast import bot_named, enqueue_one, take_one
from tests.far_side import Mailbox, a_channel, an_incident

pytestmark = pytest.mark.django_db

OVERRIDE, SHOWN = "a\u202eb\x1b[2J", r"a\u202eb\x1b[2J"


def acting(page: bytes) -> bool:
    return "\u202e" in page.decode() or "\x1b" in page.decode()


def test_notes_errors_and_reasons_are_stored_as_they_came_and_shown_as_text(
    admin_client: Client, client: Client, ada: Bot, ada_token: str, olga_key: str, olga: User
) -> None:
    lease = take_one(ada, payload={"text": OVERRIDE})
    body = {"attempt": lease.attempt, "progress": 1, "note": OVERRIDE}
    assert send(client, ada_token, "POST", f"/jobs/{lease.id}/heartbeat", body).status_code == 200
    page = admin_client.get(reverse("admin:jobs_job_change", args=[lease.id]))
    assert SHOWN in page.content.decode()
    assert not acting(page.content)
    body = {"attempt": lease.attempt, "error": OVERRIDE, "retry": False}
    assert send(client, ada_token, "POST", f"/jobs/{lease.id}/fail", body).status_code == 200
    assert send(client, olga_key, "POST", f"/jobs/{lease.id}/retry", {"reason": OVERRIDE}).status_code == 200
    assert JobEvent.objects.filter(reason=OVERRIDE).count() == 2
    assert Job.objects.get(pk=lease.id).payload == {"text": OVERRIDE}
    for url in (
        reverse("admin:jobs_job_change", args=[lease.id]),
        reverse("admin:jobs_jobevent_changelist"),
        reverse("admin:bots_auditentry_changelist"),
        reverse("admin:index"),
    ):
        page = admin_client.get(url)
        assert (page.status_code, acting(page.content)) == (200, False), url


def test_the_form_of_a_new_job_gives_back_what_was_typed(admin_client: Client) -> None:
    enqueue_one(payload={"text": "a\u202eb"})
    page = admin_client.get(reverse("admin:jobs_job_add") + "?kind=sum").content.decode()
    assert "a\u202eb" in page


def test_a_name_from_before_the_rule_stays_and_is_marked(admin_client: Client) -> None:
    bot = bot_named(OVERRIDE)
    page = admin_client.get(reverse("admin:bots_bot_change", args=[bot.pk])).content
    assert b"before there was a rule for names: Use only characters that can be seen; this has U+202E." in page
    assert not acting(page)
    listed = admin_client.get(reverse("admin:bots_bot_changelist")).content
    assert (SHOWN in listed.decode(), acting(listed)) == (True, False)
    assert b"rule for names" not in admin_client.get(reverse("admin:bots_bot_change", args=[bot_named("x").pk])).content


def test_files_for_spreadsheets_have_no_formulas(admin_client: Client, ada: Bot) -> None:
    take_one(ada, key="=HYPERLINK(1)").fail("@SUM(A1)", retry=False)
    response = admin_client.get(reverse("admin:jobs_job_export") + "?format=csv")
    text = b"".join(response).decode()
    assert "'=HYPERLINK(1)" in text
    assert "'@SUM(A1)" in text


# --- Alerts -------------------------------------------------------------------------------------------------------


def written(address: str) -> str:
    incident = an_incident(
        "ada @everyone\nSubject: x", title="@everyone \x1b[2J\nBcc: x <!channel>", reason="http://evil.example"
    )
    message = messages.build(incident, Moment.OPENED, incident.opened_at)
    clean = messages.cleaner(address)
    return messages.subject(message, Moment.OPENED, clean) + "\n" + messages.text(message, Moment.OPENED, "1", clean)


def test_a_chat_is_sent_no_mention_and_no_link_of_a_stranger() -> None:
    text = written("discord://a/b")
    assert not [
        markup for markup in ("@everyone", "<!channel>", "http://evil", "\x1b", "\nBcc", "\nSubject") if markup in text
    ]


def test_mail_has_no_header_line_or_control_character_of_a_stranger(mailbox: Mailbox, inside_allowed: None) -> None:
    text = written(mailbox.url())
    assert not [acting for acting in ("\x1b", "\nBcc", "\nSubject") if acting in text]
    # What mail makes nothing of stays as it is.
    assert "@everyone" in text


# --- Names --------------------------------------------------------------------------------------------------------

BAD = ("a\u202eb", "a\u200bb", "a\x1bb", "a\u00a0b")


@pytest.mark.parametrize("name", BAD)
def test_a_name_of_a_person_or_group_is_seen(admin_client: Client, name: str) -> None:
    form = {"username": name, "password1": "a long one 17", "password2": "a long one 17", "usable_password": "true"}
    page = admin_client.post(reverse("admin:auth_user_add"), form)
    assert "username" in page.context["adminform"].form.errors
    page = admin_client.post(reverse("admin:auth_group_add"), {"name": name})
    assert list(page.context["adminform"].form.errors) == ["name"]
    with pytest.raises(CommandError):
        call_command("createsuperuser", "--noinput", username=name, email="x@example.org")
    with pytest.raises(NotAllowed, match="usable name"):
        person_of({"iss": "i", "sub": "s", "preferred_username": name})
    assert not User.objects.filter(username=name).exists()


def test_a_persons_other_names_are_seen_too_and_old_ones_stay(admin_client: Client, olga: User) -> None:
    User.objects.filter(pk=olga.pk).update(first_name="a\u202eb")
    url = reverse("admin:auth_user_change", args=[olga.pk])
    form = {"username": "olga", "first_name": "a\u202eb", "last_name": "", "email": "", "is_active": "on"}
    form |= {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    page = admin_client.post(url, form | {"last_name": "c\u202ed"})
    assert list(page.context["adminform"].form.errors) == ["last_name"]
    assert admin_client.post(url, form | {"last_name": "fine"}).status_code == 302


@pytest.mark.parametrize("name", BAD)
def test_a_key_and_a_channel_have_names_that_are_seen(admin_client: Client, olga: User, name: str) -> None:
    page = admin_client.post(reverse("admin:bots_apikey_add"), {"user": olga.pk, "name": name})
    assert list(page.context["adminform"].form.errors) == ["name"]
    with pytest.raises(CommandError, match="--name"):
        call_command("create_key", "olga", "--name", name)
    channel = a_channel("mailto://USER:PASSWORD@mail.example.org?to=ops@example.org", name="a\u202eb")
    form = {"way": "apprise", "min_severity": "warning", "after": "0:00:00", "enabled": "on"}
    url = reverse("admin:alerts_channel_change", args=[channel.pk])
    assert admin_client.post(url, form | {"name": "a\u202eb"}).status_code == 302
    assert "name" in admin_client.post(url, form | {"name": f"{name}x"}).context["adminform"].form.errors
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("name", [*BAD, " a", "a "])
def test_a_version_is_seen(client: Client, ada_token: str, name: str) -> None:
    for path, body in (("/hello", {"instance": "x", "version": name}), ("/heartbeat", {"version": name})):
        assert refused(send(client, ada_token, "POST", path, body), 422, "invalid")["errors"][0]["field"] == "version"


def test_a_jobs_key_is_its_producers_and_is_shown_as_text(admin_client: Client, client: Client, olga_key: str) -> None:
    answer = send(client, olga_key, "POST", "/jobs", {"kind": "sum", "key": OVERRIDE})
    assert (answer.status_code, answer.json()["key"]) == (201, OVERRIDE)
    page = admin_client.get(reverse("admin:jobs_job_change", args=[answer.json()["id"]])).content
    assert (SHOWN in page.decode(), acting(page)) == (True, False)


def test_bots_with_commas_in_their_names_can_be_chosen(admin_client: Client) -> None:
    channel = a_channel("mailto://USER:PASSWORD@mail.example.org?to=ops@example.org")
    url = reverse("admin:alerts_channel_change", args=[channel.pk])
    form = {"name": "on call", "way": "apprise", "min_severity": "warning", "after": "0:00:00", "enabled": "on"}
    assert admin_client.post(url, form | {"bots": 'ada, "bob, the ""second"""'}).status_code == 302
    channel = Channel.objects.get()
    assert channel.bots == ["ada", 'bob, the "second"']
    value = admin_client.get(url).context["adminform"].form["bots"].value()
    assert admin_client.post(url, form | {"bots": value}).status_code == 302
    assert Channel.objects.get().bots == channel.bots
    page = admin_client.post(url, form | {"bots": 'ada, "bob'})
    assert "Close each quote" in str(page.context["adminform"].form.errors["bots"])


def test_a_job_of_a_bot_with_a_comma_in_its_name_is_found(
    client: Client, admin_client: Client, olga: User, olga_key: str
) -> None:
    lease = take_one(bot_named("ada, the first"))
    answer = client.get("/api/v1/jobs", {"bot": "ada, the first"}, headers={"authorization": f"Bearer {olga_key}"})
    assert [job["id"] for job in answer.json()["jobs"]] == [lease.id]
    page = admin_client.get(reverse("admin:jobs_job_changelist"), {"q": 'bot:"ada, the first"'})
    assert [job.pk for job in page.context["cl"].result_list] == [lease.id]
    lifecycle.release([lease.id], by=By.operator(olga))
    assert json.loads(answer.content)["jobs"][0]["bot"] == "ada, the first"


def test_a_channels_kinds_follow_the_rule_of_kinds(admin_client: Client) -> None:
    channel = a_channel("mailto://USER:PASSWORD@mail.example.org?to=ops@example.org")
    url = reverse("admin:alerts_channel_change", args=[channel.pk])
    form: dict[str, Any] = {"name": "on call", "way": "apprise", "min_severity": "warning", "after": "0:00:00"}
    page = admin_client.post(url, form | {"kinds": "resize mail"})
    assert list(page.context["adminform"].form.errors) == ["kinds"]
