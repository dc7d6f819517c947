"""Bots and operators throttle kinds and groups over the API, and see what waits for limits."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from bots.models import AuditEntry, Bot
from jobs.explain import why
from jobs.models import Gate, Job, JobKind
from tests.api.calls import send
from tests.cast import bot_named, enqueue_one
from tests.jobs.lifecycle.test_limits import add, claim, limit

pytestmark = pytest.mark.django_db(transaction=True)


def token_of(bot: Bot) -> str:
    return str(bot.token)  # type: ignore[attr-defined]


def throttle(client: Client, token: str, **body: Any) -> Any:
    return send(client, token, "POST", "/throttle", {"kind": "sum", "for": 60} | body)


def test_a_bots_throttle_stops_the_fleet_until_an_operator_lifts_it(
    client: Client, ada_token: str, bob_token: str, olga_key: str
) -> None:
    enqueue_one()
    shut = throttle(client, ada_token, reason="429").json()
    assert shut["shut_until"] and (shut["kind"], shut["group"], shut["paused"], shut["restart"]) == (
        "sum", None, False, False,
    )  # fmt: skip
    answer = send(client, bob_token, "POST", "/claim", {"kinds": ["sum"]})
    assert answer.json()["jobs"] == []
    assert answer["Retry-After"] == "30"
    lifted = throttle(client, olga_key, **{"for": 0}, reason="it is well again")
    assert lifted.json() == {"kind": "sum", "group": None, "shut_until": None}
    assert len(send(client, bob_token, "POST", "/claim", {"kinds": ["sum"]}).json()["jobs"]) == 1
    (entry,) = AuditEntry.objects.filter(object_type="kind")
    assert (entry.verb, entry.by, entry.reason) == ("resume", "olga", "it is well again")


def test_only_where_all_that_was_asked_for_is_shut_a_bot_is_sent_away(client: Client, ada: Bot, ada_token: str) -> None:
    JobKind.objects.create(name="other")
    enqueue_one()
    throttle(client, ada_token, **{"for": 7})
    both = send(client, ada_token, "POST", "/claim", {"kinds": ["sum", "other"]})
    assert "Retry-After" not in both
    assert 1 <= int(send(client, ada_token, "POST", "/claim", {"kinds": ["sum"]})["Retry-After"]) <= 7


def test_a_bot_throttles_only_what_it_takes_and_lifts_nothing(client: Client, db: None) -> None:
    enqueue_one()
    eve = bot_named("eve", kinds=["mail"])
    assert throttle(client, token_of(eve)).status_code == 403
    assert throttle(client, token_of(eve), kind="mail", **{"for": 0}).status_code == 422
    assert throttle(client, token_of(eve), kind="mail").status_code == 404
    assert not Gate.objects.filter(shut_until__isnull=False).exists()


@pytest.mark.parametrize("body", [{"for": 3601}, {"for": -1}, {"for": "x"}, {"group": ""}, {"seconds": 3}])
def test_bad_throttles_are_refused(client: Client, ada_token: str, body: dict[str, Any]) -> None:
    enqueue_one()
    assert throttle(client, ada_token, **body).status_code == 422


def test_who_may_only_look_throttles_nothing(client: Client, vera_key: str) -> None:
    enqueue_one()
    assert throttle(client, vera_key).status_code == 403


def test_a_job_has_its_group_and_lists_filter_by_it(client: Client, olga_key: str) -> None:
    made = send(client, olga_key, "POST", "/jobs", {"kind": "sum", "group": "acme"}).json()
    assert made["group"] == "acme"
    lines = (
        json.dumps({"kind": "sum", "group": "acme", "priority": 2}) + "\n" + json.dumps({"kind": "mail", "group": "b"})
    )
    sent = client.post(
        "/api/v1/jobs/bulk", lines, "application/x-ndjson", headers={"Authorization": f"Bearer {olga_key}"}
    )
    assert sent.status_code == 201
    csv = client.post(
        "/api/v1/jobs/bulk", "kind,group\nsum,acme\nsum,\n", "text/csv", headers={"Authorization": f"Bearer {olga_key}"}
    )
    assert csv.status_code == 201
    listed = send(client, olga_key, "GET", "/jobs?group=acme").json()["jobs"]
    assert [job["group"] for job in listed] == ["acme"] * 3
    assert [job["id"] for job in listed] == sorted((job["id"] for job in listed), reverse=True)
    page = send(client, olga_key, "GET", "/jobs?group=acme&limit=2&kind=sum").json()
    assert page["next_cursor"]
    rest = send(client, olga_key, "GET", f"/jobs?group=acme&limit=2&kind=sum&cursor={page['next_cursor']}").json()
    assert len(page["jobs"] + rest["jobs"]) == 3
    assert send(client, olga_key, "GET", "/jobs?group=acme&status=failed").json()["jobs"] == []
    keyed = []
    for group in ("acme", "b", "acme"):
        keyed.append(enqueue_one(group=group, key="k", unique="unfinished"))
        Job.objects.update(status="cancelled", finished_at=Now())
    found = send(client, olga_key, "GET", "/jobs?kind=sum&key=k&group=acme").json()["jobs"]
    assert [job["id"] for job in found] == [keyed[2].pk, keyed[0].pk]


def explained(job: Job) -> str:
    return why.explain(Job.objects.select_related("kind", "claimed_by", "finished_by").get(pk=job.pk)).why


def test_explain_says_what_a_job_waits_for(ada: Bot, bob: Bot, olga: User) -> None:
    limit(max_held_per_group=2)
    add("acme")
    claim(ada)
    add("acme")
    claim(bob)
    job = enqueue_one(group="acme")
    assert "2 of 2 jobs of group acme are held by " in explained(job)
    limit(max_held_per_group=None, max_held=2)
    assert "2 of 2 jobs of kind sum are held by " in explained(job)
    limit(max_held=None, rate=1)
    claim(ada)
    other = enqueue_one()
    assert "the next start of kind sum is free in " in explained(other)
    limit(rate=None)
    Gate.objects.filter(group_name="").update(shut_until="2999-01-01T00:00Z", shut_by="ada", shut_reason="429")
    assert "kind sum is shut for " in explained(other)
    assert explained(other).endswith("by ada: 429.")


def test_an_operator_lifts_throttles_in_the_console(client: Client, ada_token: str, bob: Bot, olga: User) -> None:
    enqueue_one(group="acme")
    throttle(client, ada_token)
    throttle(client, ada_token, group="acme")
    client.force_login(olga)
    form = {"action": "lift_throttles", "_selected_action": ["sum"]}
    answer = client.post(reverse("admin:jobs_jobkind_changelist"), form, follow=True)
    assert "Lifted 2 throttles." in answer.content.decode()
    assert len(claim(bob)) == 1
    entries = AuditEntry.objects.filter(object_type="kind", verb="resume", by="olga")
    assert {entry.object_name for entry in entries} == {"sum", "sum, group acme"}
