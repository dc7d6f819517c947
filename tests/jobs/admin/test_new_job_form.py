"""What operators make by hand: a job, a bot with its token, a key."""

import html

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from bots.auth import recognise
from bots.models import ApiKey, Bot
from jobs.models import Job, JobKind


@pytest.fixture
def kind(db):
    return JobKind.objects.create(name="sum", max_attempts=7)


def test_a_job_made_by_hand_takes_what_is_empty_from_its_kind(client, olga, kind):
    client.force_login(olga)
    client.post(reverse("admin:jobs_job_add"), {"kind": "sum", "payload": '{"numbers": [1]}', "priority": "5"})
    job = Job.objects.get()
    assert (job.payload, job.priority, job.max_attempts, job.key, job.status) == (
        {"numbers": [1]},
        5,
        7,
        None,
        "pending",
    )


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ("{", "This is not JSON"),
        ("NaN", "This is not JSON"),
        ("12345678901234567.89", "would be rounded to"),
        ('"\\u0000"', "NUL character"),
        ("[" * 101 + "]" * 101, "nested deeper than 100 levels"),
        (f'"{"x" * 300_000}"', "too long"),
    ],
    ids=["broken", "nan", "rounded", "nul", "deep", "long"],
)
def test_a_payload_that_producers_could_not_send_is_refused_at_its_field(client, olga, kind, payload, message):
    client.force_login(olga)
    page = client.post(reverse("admin:jobs_job_add"), {"kind": "sum", "payload": payload, "priority": "0"})
    assert message in str(page.context["adminform"].form.errors["payload"])
    assert payload in html.unescape(page.content.decode())
    assert not Job.objects.exists()


def test_a_new_bots_token_is_shown_once_and_works(client, olga):
    client.force_login(olga)
    said = client.post(reverse("admin:bots_bot_add"), {"name": "carl", "kinds": "sum,divide", "capacity": ""})
    token = said.content.decode().split('id="token">')[1].split("<")[0]
    carl = Bot.objects.get(name="carl")
    assert recognise(token) == carl
    assert carl.kinds == ["sum", "divide"]
    assert "no-store" in said["Cache-Control"]
    assert token not in client.get(reverse("admin:bots_bot_change", args=[carl.pk])).content.decode()


def test_a_rotated_token_replaces_the_old_one_at_once(client, olga, ada, ada_token):
    client.force_login(olga)
    said = client.post(reverse("admin:bots_bot_rotate", args=[ada.pk]))
    token = said.content.decode().split('id="token">')[1].split("<")[0]
    assert recognise(ada_token) is None
    assert recognise(token) == ada


def test_only_a_superuser_makes_keys(client, olga, admin_client):
    client.force_login(olga)
    form = {"user": olga.pk, "name": "ci"}
    assert client.post(reverse("admin:bots_apikey_add"), form).status_code == 403
    client.force_login(User.objects.get(is_superuser=True))
    said = client.post(reverse("admin:bots_apikey_add"), form)
    token = said.content.decode().split('id="token">')[1].split("<")[0]
    assert recognise(token) == ApiKey.objects.get()


def test_a_paused_kind_is_paused_by_its_action(client, olga, kind):
    client.force_login(olga)
    url = reverse("admin:jobs_jobkind_changelist")
    client.post(url, {"action": "pause", "_selected_action": ["sum"]})
    assert JobKind.objects.get().paused
    client.post(url, {"action": "resume", "_selected_action": ["sum"]})
    assert not JobKind.objects.get().paused
