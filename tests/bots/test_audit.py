"""The audit log: an act is recorded in its own transaction, without secrets, and an entry never changes."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from bots import audit, roster
from bots.acts import Act, Via
from bots.audit import HIDDEN, Subject, Who
from bots.models import ApiKey, AuditEntry, Bot
from jobs.transitions import OPERATIONS

OLGA = Who("olga", Via.CONSOLE)


def acts() -> list[tuple[Any, ...]]:
    return list(AuditEntry.objects.order_by("id").values_list("verb", "by", "object_type", "object_name"))


@pytest.mark.django_db
def test_an_act_has_who_what_before_after_and_why(ada: Bot) -> None:
    roster.pause(Bot.objects.all(), by=Who("olga", Via.API, "jsk_abcdef"), reason="too hot")
    entry = AuditEntry.objects.latest("id")
    assert (entry.by, entry.via, entry.key, entry.reason) == ("olga", "api", "jsk_abcdef", "too hot")
    assert (entry.verb, entry.object_type, entry.object_id, entry.object_name) == ("pause", "bot", str(ada.pk), "ada")
    assert entry.before == {"paused": False, "pause_reason": ""}
    assert entry.after == {"paused": True, "pause_reason": "too hot"}


@pytest.mark.django_db
def test_what_was_so_before_is_no_act(ada: Bot) -> None:
    roster.pause(Bot.objects.all(), by=OLGA)
    roster.pause(Bot.objects.all(), by=OLGA)
    assert acts() == [("register", "", "bot", "ada"), ("pause", "olga", "bot", "ada")]


@pytest.mark.django_db
def test_each_bot_and_key_has_an_entry_of_its_own(ada: Bot, bob: Bot, olga_key: str, vera_key: str) -> None:
    AuditEntry.objects.all()._raw_delete(AuditEntry.objects.db)
    roster.revoke(Bot.objects.all(), by=OLGA)
    roster.revoke_keys(ApiKey.objects.all(), by=OLGA)
    assert [(verb, kind) for verb, _, kind, _ in acts()] == [("revoke", "bot")] * 2 + [("revoke", "key")] * 2


@pytest.mark.django_db(transaction=True)
def test_an_act_that_is_taken_back_leaves_no_entry(ada: Bot) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        roster.pause(Bot.objects.all(), by=OLGA)
        raise ZeroDivisionError
    assert acts() == [("register", "", "bot", "ada")]


@pytest.mark.django_db(transaction=True)
def test_nothing_is_recorded_outside_the_transaction_of_an_act() -> None:
    with pytest.raises(transaction.TransactionManagementError):
        audit.record(Act.PAUSE, [Subject("bot", 1, "ada")], by=OLGA)
    assert acts() == []


@pytest.mark.django_db
def test_no_token_and_no_secret_stands_in_an_entry(ada: Bot, ada_token: str, olga: User) -> None:
    new, (_, key) = roster.rotate(ada), roster.create_key(olga, "laptop")
    roster.revoke(Bot.objects.all())
    values = {"address": "gotify://u:pw@host/x", "secret": "s3cret", "password": "pw", "digest": b"x", "name": "chat"}
    audit.record(Act.CHANGE, [Subject("channel", 1, "chat", values, values | {"secret": ""})], by=OLGA)
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(a::text, ' ') FROM bots_auditentry a")
        (text,) = cursor.fetchone()
    for secret in (ada_token[10:], new[10:], key[10:], "s3cret", "u:pw"):
        assert secret not in text
    entry = AuditEntry.objects.latest("id")
    assert entry.before == {"address": HIDDEN, "secret": HIDDEN, "password": HIDDEN, "digest": HIDDEN, "name": "chat"}
    assert entry.after["secret"] == ""


@pytest.mark.django_db
def test_an_entry_cannot_be_changed_or_deleted_by_the_model(ada: Bot) -> None:
    entry = AuditEntry.objects.get()
    refusals = (
        entry.save, entry.delete, AuditEntry.objects.all().delete, lambda: AuditEntry.objects.update(by="vera"),
        lambda: AuditEntry.objects.create(verb="pause"),
        lambda: AuditEntry.objects.bulk_update([entry], ["by"]),
    )  # fmt: skip
    for refuse in refusals:
        with pytest.raises(TypeError, match="never"):
            refuse()
    assert acts() == [("register", "", "bot", "ada")]


def test_every_verb_of_an_operator_is_an_act() -> None:
    assert {str(verb) for verb in OPERATIONS} <= set(Act.values)


@pytest.mark.django_db(transaction=True)
def test_what_is_about_several_objects_is_called_by_their_number(caplog: pytest.LogCaptureFixture) -> None:
    with transaction.atomic():
        audit.record(Act.ENQUEUE, [Subject("job", "", "3 000 jobs")], by=OLGA)
        audit.record(Act.PAUSE, [Subject("bot", 7, "ada")], by=OLGA)
    assert [str(entry) for entry in AuditEntry.objects.order_by("id")] == ["enqueue of 3 000 jobs", "pause of bot ada"]
    lines = [record.msg["event"] for record in caplog.records if record.name == "jobsite.bots"]  # type: ignore[call-overload]
    assert lines == ["enqueue of 3 000 jobs by olga", "pause of bot ada by olga"]


@pytest.mark.django_db
def test_its_page_calls_several_objects_by_their_number(admin_client: Any) -> None:
    audit.record(Act.ENQUEUE, [Subject("job", "", "3 000 jobs")], by=OLGA)
    page = admin_client.get("/admin/bots/auditentry/").content.decode()
    assert "3 000 jobs" in page
    assert "job 3 000 jobs" not in page
