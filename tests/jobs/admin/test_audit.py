"""The audit log in the admin: a page with filters that is only read, and each object's own part of it."""

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from bots import roster
from bots.audit import Via, Who
from bots.models import AuditEntry, Bot
from jobs import lifecycle
from jobs.lifecycle import By
from tests.cast import take_one

pytestmark = pytest.mark.django_db

PAGE = "/admin/bots/auditentry/"


@pytest.fixture
def acts(ada: Bot, bob: Bot) -> list[int]:
    """What olga and vera did; the jobs that olga released at once."""
    roster.pause(Bot.objects.filter(pk=ada.pk), by=Who("olga", Via.CONSOLE), reason="too hot")
    roster.rotate(bob, by=Who("vera", Via.API, "jsk_abcdef"))
    jobs = [take_one(bob).id, take_one(bob).id]
    lifecycle.release(jobs, by=By.operator(Who("olga", Via.CONSOLE)), reason="<b>hangs</b>")
    return jobs


def shown(client: Client, query: str = "") -> list[tuple[str, str]]:
    answer = client.get(PAGE + query)
    assert answer.status_code == 200
    return [(entry.verb, entry.object_name) for entry in answer.context["cl"].result_list]


def test_it_is_filtered_by_person_verb_object_and_time(client: Client, vera: User, acts: list[int]) -> None:
    client.force_login(vera)
    assert shown(client)[0] == ("release", "2 jobs")
    assert shown(client, "?by=vera") == [("rotate", "bob")]
    assert shown(client, "?verb__exact=pause") == [("pause", "ada")]
    assert shown(client, "?object_type=job") == [("release", "2 jobs")]
    assert shown(client, "?via__exact=api") == [("rotate", "bob")]
    assert shown(client, "?q=jsk_abcdef") == [("rotate", "bob")]
    assert shown(client, "?by=olga&span=hour") == [("release", "2 jobs"), ("pause", "ada")]
    # The test's transaction began a moment ago, by the database's clock.
    assert shown(client, "?by=olga&span=fortnight") == shown(client, "?by=olga")


def test_an_entry_has_a_page_and_what_people_wrote_is_text(client: Client, vera: User, acts: list[int]) -> None:
    client.force_login(vera)
    entry = AuditEntry.objects.get(verb="release")
    page = client.get(f"{PAGE}{entry.pk}/change/").content.decode()
    assert "&lt;b&gt;hangs" in page and "<b>hangs" not in page
    assert str(acts[0]) in page
    assert "<b>hangs" not in client.get(PAGE).content.decode()


def test_nothing_on_it_can_be_changed(admin_client: Client, acts: list[int]) -> None:
    entries = list(AuditEntry.objects.values())
    pk = entries[0]["id"]
    for url in (f"{PAGE}add/", f"{PAGE}{pk}/delete/", f"{PAGE}{pk}/change/"):
        assert admin_client.post(url, {"post": "yes", "by": "nobody"}).status_code == 403
    ticked = {"action": "delete_selected", "_selected_action": [pk], "post": "yes"}
    admin_client.post(PAGE, ticked)
    assert list(AuditEntry.objects.values()) == entries
    assert "delete_selected" not in admin_client.get(PAGE).content.decode()


def test_it_is_for_those_with_the_permission(client: Client, vera: User, acts: list[int]) -> None:
    client.force_login(vera)
    assert "Audit log" in client.get("/admin/").content.decode()
    vera.user_permissions.remove(Permission.objects.get(codename="view_auditentry"))
    assert client.get(PAGE).status_code == 403
    assert PAGE not in client.get("/admin/").content.decode()


def test_each_object_has_its_own_part(client: Client, vera: User, nora: User, ada: Bot, acts: list[int]) -> None:
    client.force_login(vera)
    page = client.get(f"/admin/bots/bot/{ada.pk}/history/").content.decode()
    assert "too hot" in page and "paused: yes" in page and "rotate" not in page
    # A job of an act on several is found by its event.
    assert "&lt;b&gt;hangs" in client.get(f"/admin/jobs/job/{acts[0]}/history/").content.decode()
    assert client.get("/admin/bots/bot/999999/history/").status_code == 404
    client.force_login(nora)
    assert client.get(f"/admin/bots/bot/{ada.pk}/history/").status_code == 403
