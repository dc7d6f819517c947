"""Acts on jobs in the audit log: one entry for many jobs, to which their events refer; `GET /audit` and its filters."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from bots import roster
from bots.audit import Via, Who
from bots.models import AuditEntry, Bot
from jobs import lifecycle
from jobs.lifecycle import SWEEP, By
from jobs.models import JobEvent
from tests.api.calls import refused, send
from tests.cast import enqueue_one, take_one

pytestmark = pytest.mark.django_db

OLGA = By.operator(Who("olga", Via.API, "jsk_abcdef"))


def test_an_act_on_many_jobs_is_one_entry_with_many_events(ada: Bot) -> None:
    leases = [take_one(ada) for _ in range(3)]
    done = enqueue_one()
    lifecycle.release([*(lease.id for lease in leases), done.pk], by=OLGA, reason="ada hangs")
    entry = AuditEntry.objects.get(verb="release")
    assert (entry.by, entry.key, entry.reason, entry.object_id) == ("olga", "jsk_abcdef", "ada hangs", "")
    assert entry.object_name == "3 jobs"
    assert entry.after == {"jobs": [lease.id for lease in leases]}
    assert JobEvent.objects.filter(audit=entry).count() == 3


def test_an_act_on_one_job_has_what_it_changed(ada: Bot) -> None:
    lease = take_one(ada)
    lifecycle.prioritise([lease.id], priority=7, by=OLGA)
    lifecycle.cancel([lease.id], by=OLGA)
    lifecycle.retry([lease.id], by=OLGA)
    acts = AuditEntry.objects.filter(object_type="job").order_by("id")
    assert [(act.verb, act.object_id, act.before["status"], act.after["status"]) for act in acts] == [
        ("prioritise", str(lease.id), "processing", "processing"),
        ("cancel", str(lease.id), "processing", "cancelled"),
        ("retry", str(lease.id), "cancelled", "pending"),
    ]
    assert acts[0].after["priority"] == 7
    assert set(JobEvent.objects.values_list("audit", flat=True)) == {act.pk for act in acts}


def test_what_bots_and_the_sweep_do_is_in_no_entry(ada: Bot) -> None:
    first = AuditEntry.objects.count()
    failed, lease, returned = take_one(ada), take_one(ada), take_one(ada)
    failed.fail()
    lifecycle.flag([lease.id], by=SWEEP, reasons={lease.id: "silent"})
    lifecycle.expire([lease.id], by=SWEEP, reasons={lease.id: "silent"})
    returned.hand_back()
    assert AuditEntry.objects.count() == first
    assert set(JobEvent.objects.values_list("audit", flat=True)) == {None}


def test_an_act_that_changes_no_job_is_none() -> None:
    lifecycle.release([enqueue_one().pk], by=OLGA)
    assert not AuditEntry.objects.exists()


# --- GET /audit --------------------------------------------------------------------------------------------------


def verbs(client: Client, key: str, query: str = "") -> list[str]:
    answer = send(client, key, "GET", f"/audit{query}")
    assert answer.status_code == 200, answer.content
    return [entry["verb"] for entry in answer.json()["audit"]]


def test_the_log_is_read_newest_first_in_pages_by_filters(client: Client, ada: Bot, vera_key: str) -> None:
    leases = [take_one(ada), take_one(ada)]
    roster.pause(Bot.objects.all(), by=Who("olga", Via.CONSOLE), reason="too hot")
    lifecycle.release([lease.id for lease in leases], by=OLGA)
    assert verbs(client, vera_key) == ["release", "pause", "create", "register"]
    assert verbs(client, vera_key, "?by=olga&via=console") == ["pause"]
    assert verbs(client, vera_key, "?verb=pause") == ["pause"]
    assert verbs(client, vera_key, f"?object=bot&object_id={ada.pk}") == ["pause", "register"]
    assert verbs(client, vera_key, "?key=jsk_abcdef") == ["release"]
    # A job of an act on several is found by the event that the act made.
    assert verbs(client, vera_key, f"?object=job&object_id={leases[0].id}") == ["release"]
    soon = (timezone.now() + timedelta(hours=1)).isoformat().replace("+", "%2B")
    assert verbs(client, vera_key, f"?since={soon}") == []
    assert len(verbs(client, vera_key, f"?until={soon}")) == 4
    first = send(client, vera_key, "GET", "/audit?limit=3").json()
    rest = send(client, vera_key, "GET", f"/audit?limit=3&cursor={first['next_cursor']}").json()
    assert [entry["verb"] for entry in rest["audit"]] == ["register"] and rest["next_cursor"] is None
    assert first["audit"][1] | {"id": 0, "at": ""} == {
        "id": 0, "at": "", "by": "olga", "via": "console", "key": "", "verb": "pause", "object": "bot",
        "object_id": str(ada.pk), "object_name": "ada", "before": {"paused": False, "pause_reason": ""},
        "after": {"paused": True, "pause_reason": "too hot"},
        "reason": "too hot", "request_id": "", "act": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    "query",
    ["surprise=1", "verb=fly", "via=carrier", "since=yesterday", "until=2026-01-01T00:00", "by=%00", "limit=0",
     "object_id=" + "9" * 300, "since=9999-99-99T00:00Z", "cursor=x"],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused_by_its_name(client: Client, vera_key: str, query: str) -> None:
    problem = refused(send(client, vera_key, "GET", f"/audit?{query}"), 422, "invalid")
    assert query.partition("=")[0] in problem["detail"]


@pytest.mark.parametrize("number", ["0", "x", "9" * 19, "٣"])
def test_a_job_that_cannot_be_has_no_entries(client: Client, vera_key: str, number: str) -> None:
    answer = client.get("/api/v1/audit", {"object": "job", "object_id": number}, headers=_bearer(vera_key))
    assert answer.json()["audit"] == []


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_the_log_is_for_those_with_the_permission(client: Client, nora: User, nora_key: str) -> None:
    assert "bots.view_auditentry" in refused(send(client, nora_key, "GET", "/audit"), 403, "forbidden")["detail"]
