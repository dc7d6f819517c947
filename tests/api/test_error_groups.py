"""Error groups by key: who may see them, resolve, ignore and retry."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from bots import roster
from bots.models import Bot
from jobs.error_groups import counting
from jobs.models import ErrorGroup, Job
from jobs.stats import rollup
from tests.api.calls import send
from tests.cast import person_named, take_one

pytestmark = pytest.mark.django_db


@pytest.fixture
def group(ada: Bot) -> ErrorGroup:
    """Three mail jobs that failed alike, and a sum job that failed otherwise."""
    for n in range(3):
        take_one(ada, kind="mail").fail(f"Timeout after {n} s", retry=False)
    take_one(ada).fail("no numbers", retry=False)
    rollup.add_closed_minutes(timezone.now() + timedelta(minutes=2))
    counting.count_failures()
    return ErrorGroup.objects.get(kind="mail")


def test_they_are_listed_with_their_counts(client: Client, group: ErrorGroup, olga_key: str) -> None:
    answer = send(client, olga_key, "GET", "/error-groups")
    assert answer.status_code == 200
    assert [row["kind"] for row in answer.json()["error_groups"]] == ["sum", "mail"]
    answer = send(client, olga_key, "GET", "/error-groups?kind=mail&status=open&limit=1").json()
    (row,) = answer["error_groups"]
    assert (row["words"], row["count"], row["bots"], sum(row["trend"])) == ("Timeout after # s", 3, {"ada": 3}, 3)
    assert answer["next_cursor"] is None
    assert send(client, olga_key, "GET", f"/error-groups/{group.pk}").json() == row


def test_one_is_resolved_and_another_ignored(client: Client, group: ErrorGroup, olga_key: str) -> None:
    answer = send(client, olga_key, "POST", f"/error-groups/{group.pk}/resolve", {"reason": "4.2.2 has the fix"}).json()
    assert (answer["status"], answer["changed_by"], answer["reason"]) == ("resolved", "olga", "4.2.2 has the fix")
    assert send(client, olga_key, "POST", f"/error-groups/{group.pk}/ignore").json()["status"] == "ignored"


def test_its_failed_jobs_are_retried_a_part_at_a_time(client: Client, group: ErrorGroup, olga_key: str) -> None:
    path = f"/error-groups/{group.pk}/retry"
    answer = send(client, olga_key, "POST", path, {"most": 2, "reason": "the mailer is up"})
    assert answer.json() == {"retried": 2, "key_taken": 0, "more": True}
    assert send(client, olga_key, "POST", path).json() == {"retried": 1, "key_taken": 0, "more": False}
    assert Job.objects.filter(kind="mail", status="pending").count() == 3
    assert Job.objects.filter(kind="sum", status="failed").count() == 1


def test_who_may_not_see_errors_sees_no_groups(client: Client, group: ErrorGroup, vera_key: str) -> None:
    blind = person_named("blind", lambda name: name not in ("view_payload", "add_job"))
    key = roster.create_key(blind)[1]
    assert send(client, key, "GET", "/error-groups").status_code == 403
    assert send(client, key, "POST", f"/error-groups/{group.pk}/retry").status_code == 403
    assert send(client, vera_key, "GET", "/error-groups").status_code == 200
    for act in ("resolve", "ignore", "retry"):
        assert send(client, vera_key, "POST", f"/error-groups/{group.pk}/{act}").status_code == 403


def test_a_key_is_limited_to_its_kinds_and_verbs(client: Client, group: ErrorGroup, olga: User) -> None:
    of_sums = roster.create_key(olga, kinds=["sum"])[1]
    answer = send(client, of_sums, "GET", "/error-groups").json()["error_groups"]
    assert [row["kind"] for row in answer] == ["sum"]
    assert send(client, of_sums, "GET", f"/error-groups/{group.pk}").status_code == 403
    reads = roster.create_key(olga, verbs=["read", "ignore"])[1]
    assert send(client, reads, "POST", f"/error-groups/{group.pk}/resolve").status_code == 403
    assert send(client, reads, "POST", f"/error-groups/{group.pk}/ignore").status_code == 200


def test_what_is_asked_wrongly_is_named(client: Client, group: ErrorGroup, olga_key: str) -> None:
    assert send(client, olga_key, "GET", "/error-groups?status=broken").json()["errors"][0]["field"] == "status"
    assert send(client, olga_key, "GET", "/error-groups/999999").status_code == 404
    assert send(client, olga_key, "GET", "/error-groups/x").status_code == 404
    assert send(client, olga_key, "POST", f"/error-groups/{group.pk}/retry", {"most": 0}).status_code == 422
