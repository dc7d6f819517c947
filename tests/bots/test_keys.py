"""Keys: their scope, when they expire, when and from where they were used last, and what outlives their users."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bots import people, roster
from bots.acts import SCOPES, Via
from bots.audit import Who
from bots.auth import recognise
from bots.models import ApiKey, AuditEntry
from jobs.models import Job, JobEvent
from jobsite.lib.errors import KeyExpired
from tests.api.calls import refused, send

pytestmark = pytest.mark.django_db


def test_an_expired_key_is_refused_with_a_code_of_its_own(client: Client, olga: User) -> None:
    _, text = roster.create_key(olga, expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(KeyExpired, match="expired at"):
        recognise(text)
    refused(send(client, text, "GET", "/jobs"), 401, "key_expired")
    assert client.get("/metrics", headers={"Authorization": f"Bearer {text}"}).status_code == 401
    _, text = roster.create_key(olga, expires_at=timezone.now() + timedelta(hours=1))
    assert send(client, text, "GET", "/jobs").status_code == 200


def test_a_keys_last_use_is_written_once_a_minute_with_where_it_came_from(client: Client, olga_key: str) -> None:
    send(client, olga_key, "GET", "/jobs")
    key = ApiKey.objects.get()
    assert (key.last_used_at is not None, key.last_used_from) == (True, "127.0.0.1")
    with CaptureQueriesContext(
        connection,
    ) as asked:
        send(client, olga_key, "GET", "/jobs")
    assert not [query for query in asked if query["sql"].startswith("UPDATE")]
    ApiKey.objects.update(last_used_at=timezone.now() - timedelta(minutes=2))
    client.get("/api/v1/jobs", headers={"Authorization": f"Bearer {olga_key}"}, REMOTE_ADDR="2001:db8::7")
    assert ApiKey.objects.get().last_used_from == "2001:db8::7"


@pytest.mark.parametrize(
    ("behind", "header", "address"),
    [
        (False, "198.51.100.7", "127.0.0.1"),
        (True, "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        (True, "<script>", ""),
        (True, None, "127.0.0.1"),
    ],
)
def test_only_behind_a_proxy_is_its_header_believed(
    client: Client, olga_key: str, settings: Any, behind: bool, header: str | None, address: str
) -> None:
    settings.BEHIND_PROXY = behind
    send(client, olga_key, "GET", "/jobs", **({} if header is None else {"X-Forwarded-For": header}))
    assert ApiKey.objects.get().last_used_from == address


def test_deleting_a_person_revokes_their_keys_and_keeps_what_they_did(
    admin_client: Client, olga: User, olga_key: str, held_by: Any, ada: Any
) -> None:
    from jobs import lifecycle
    from jobs.lifecycle import By

    lease = held_by(ada)
    lifecycle.release([lease.id], by=By.operator(Who("olga", Via.CONSOLE)), reason="ada hangs")
    page = admin_client.post(f"/admin/auth/user/{olga.pk}/delete/", {"post": "yes"})
    assert page.status_code == 302
    assert not User.objects.filter(username="olga").exists()
    key = ApiKey.objects.get()
    assert (key.user, key.username, key.revoked_at is not None) == (None, "olga", True)
    assert "olga" in str(key)
    assert recognise(olga_key) is None
    assert JobEvent.objects.get(job=lease.id).by == "olga"
    assert [(e.verb, e.by, e.object_type) for e in AuditEntry.objects.order_by("id")][-3:] == [
        ("release", "olga", "job"), ("delete", "admin", "user"), ("revoke", "admin", "key"),
    ]  # fmt: skip
    assert admin_client.get("/admin/bots/apikey/").status_code == 200


def test_a_key_whose_user_is_gone_does_not_work(olga: User, olga_key: str) -> None:
    olga.delete()
    assert ApiKey.objects.get().revoked_at is None
    assert recognise(olga_key) is None


def created(*args: Any, **options: Any) -> ApiKey:
    out = StringIO()
    call_command("create_key", *args, stdout=out, **options)
    key = recognise(out.getvalue().strip())
    assert isinstance(key, ApiKey)
    return key


def test_the_command_takes_a_scope_and_an_expiry(olga: User) -> None:
    key = created("olga", "--kinds", "sum,mail", "--verbs", "read", "enqueue", "--expires", "90d", "--name", "shop")
    assert (key.kinds, key.verbs, key.read_only) == (["sum", "mail"], ["read", "enqueue"], False)
    assert timedelta(days=89) < key.expires_at - timezone.now() < timedelta(days=91)  # type: ignore[operator]
    assert created("olga", "--read-only", "--expires", "2999-01-31").read_only
    entry = AuditEntry.objects.order_by("id").first()
    assert entry is not None
    assert (entry.verb, entry.via, entry.object_type) == ("create", "command", "key")
    assert entry.after["verbs"] == ["read", "enqueue"]


@pytest.mark.parametrize(
    "options",
    [("--verbs", "fly"), ("--expires", "soon"), ("--expires", "2001-01-01"), ("--name", "x" * 101)],
)
def test_the_command_refuses_what_it_does_not_understand(olga: User, options: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match=options[0]):
        call_command("create_key", "olga", *options)
    assert not ApiKey.objects.exists()


def test_a_key_is_made_in_the_admin_with_its_scope(client: Client, admin_client: Client, olga: User) -> None:
    form = {
        "user": olga.pk,
        "name": "shop",
        "kinds": "sum",
        "verbs": ["enqueue"],
        "expires_at_0": "",
        "expires_at_1": "",
    }
    page = admin_client.post("/admin/bots/apikey/add/", form)
    assert page.status_code == 200
    assert send(client, page.context["token"], "POST", "/jobs", {"kind": "sum"}).status_code == 201
    refused(send(client, page.context["token"], "GET", "/jobs"), 403, "forbidden")
    past = admin_client.post("/admin/bots/apikey/add/", form | {"expires_at_0": "2001-01-01", "expires_at_1": "00:00"})
    assert "This moment has passed" in past.content.decode()
    assert "enqueue, kind sum" in admin_client.get("/admin/bots/apikey/").content.decode()
    assert Job.objects.count() == 1


def test_nobody_makes_a_key_that_may_do_more_than_they(
    client: Client, olga: User, vera: User, admin_user: User
) -> None:
    assert people.covers(olga, vera) and not people.covers(vera, olga) and not people.covers(olga, admin_user)
    client.force_login(olga)
    assert client.post("/admin/bots/apikey/add/", {"user": vera.pk, "name": ""}).status_code == 403
    olga.user_permissions.add(Permission.objects.get(codename="change_user"))
    assert client.post("/admin/bots/apikey/add/", {"user": admin_user.pk, "name": ""}).status_code == 403
    assert client.post("/admin/bots/apikey/add/", {"user": vera.pk, "name": ""}).status_code == 200
    assert [key.username for key in ApiKey.objects.all()] == ["vera"]


def test_scopes_are_words_that_the_database_knows(olga: User) -> None:
    roster.create_key(olga, verbs=SCOPES)
    from django.db import IntegrityError

    with pytest.raises(IntegrityError):
        roster.create_key(olga, verbs=["fly"])
