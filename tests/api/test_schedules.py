"""Schedules over the API: put, read, preview; every refusal names the field and changes nothing."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from bots import roster
from jobs.models import Job, JobKind, Schedule
from tests.api.calls import refused, rows, send
from tests.cast import enqueue_one
from tests.jobs.schedules.rules import a_schedule, fire, off_for

pytestmark = pytest.mark.django_db

GIVEN = {"kind": "report", "payload": {"a": 1}, "cron": "0 3 * * *", "time_zone": "Europe/Berlin", "overlap": "queue"}


def test_put_creates_changes_and_leaves(client: Client, olga_key: str) -> None:
    answer = send(client, olga_key, "PUT", "/schedules/nightly", GIVEN)
    made = answer.json()
    assert (answer.status_code, made["words"]) == (201, "At 03:00 every day, Europe/Berlin")
    assert made["next_at"].endswith("00.000000Z") and made["last"] is None and made["hidden"] == []
    before = rows()
    assert send(client, olga_key, "PUT", "/schedules/nightly", GIVEN).status_code == 200
    assert rows() == before
    changed = send(client, olga_key, "PUT", "/schedules/nightly", {"kind": "report", "every": 90}).json()
    # What is left out is as it is by default.
    assert (changed["every"], changed["cron"], changed["overlap"], changed["payload"]) == (90, "", "skip", {})
    assert send(client, olga_key, "GET", "/schedules/nightly").json() == changed
    assert send(client, olga_key, "GET", "/schedules").json() == {"schedules": [changed], "next_cursor": None}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"cron": "0 3 * *"}, "cron"),
        ({"cron": "0 0 31 2 *"}, "cron"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"every": 60}, "not both"),
        ({"cron": ""}, "Give a cron line"),
        ({"cron": "", "every": 0}, "every"),
        ({"cron": "", "every": 1.5}, "every"),
        ({"cron": "", "every": "60"}, "every"),
        ({"cron": "", "every": 10**12}, "every"),
        ({"overlap": "never"}, "overlap"),
        ({"catch_up": "some"}, "catch_up"),
        ({"catch_up_within": -1}, "catch_up_within"),
        ({"kind": "two words"}, "kind"),
        ({"payload": "\ud800"}, "payload"),
        ({"priority": 10**9}, "priority"),
        ({"starts_at": "tomorrow"}, "starts_at"),
        ({"starts_at": "2030-01-02T00:00:00Z", "ends_at": "2030-01-01T00:00:00Z"}, "The end is before"),
        ({"paused": True}, "paused"),
        ({"next_at": "2030-01-01T00:00:00Z"}, "next_at"),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_made(
    client: Client, olga_key: str, given: dict[str, Any], field: str
) -> None:
    answer = send(client, olga_key, "PUT", "/schedules/nightly", GIVEN | given)
    assert field in refused(answer, 422, "invalid")["detail"]
    assert not Schedule.objects.exists()


@pytest.mark.parametrize("name", ["preview", "two%20words", "-x", "a" * 101])
def test_a_bad_name_is_refused(client: Client, olga_key: str, name: str) -> None:
    answer = send(client, olga_key, "PUT", f"/schedules/{name}", GIVEN)
    assert answer.status_code in (405, 422)
    assert not Schedule.objects.exists()


@pytest.mark.parametrize("path", ["", "/run", "/pause", "/resume", "/skip", "/occurrences"])
@pytest.mark.parametrize("name", ["weekly", "%00", "two%20words"])
def test_one_that_is_not_there_is_named(client: Client, olga_key: str, name: str, path: str) -> None:
    method = "GET" if path in ("", "/occurrences") else "POST"
    refused(send(client, olga_key, method, f"/schedules/{name}{path}"), 404, "not_found")


def test_a_preview_has_the_words_and_ten_moments(client: Client, olga_key: str) -> None:
    given = {"cron": "30 2 * * *", "time_zone": "Europe/Berlin", "starts_at": "2030-03-29T00:00:00Z"}
    shown = send(client, olga_key, "POST", "/schedules/preview", given).json()
    assert shown["words"] == "At 02:30 every day, Europe/Berlin" and len(shown["occurrences"]) == 10
    assert shown["occurrences"][:3] == [
        "2030-03-29T01:30:00.000000Z", "2030-03-30T01:30:00.000000Z", "2030-03-31T01:00:00.000000Z",
    ]  # fmt: skip
    ended = {"every": 60, "ends_at": "2020-01-01T00:00:00Z"}
    assert send(client, olga_key, "POST", "/schedules/preview", ended).json()["occurrences"] == []
    refused(send(client, olga_key, "POST", "/schedules/preview", {"cron": "x"}), 422, "invalid")


def test_the_occurrences_have_their_fates_and_pages(client: Client, olga_key: str) -> None:
    off_for(timedelta(minutes=75), every=1800, catch_up_within=86400)
    fire()
    found = send(client, olga_key, "GET", "/schedules/nightly/occurrences").json()["occurrences"]
    assert [(row["fate"], row["count"]) for row in found] == [("caught_up", 1), ("missed", 2)]
    assert found[0]["job"] == Job.objects.get().pk and found[1]["job"] is None
    assert send(client, olga_key, "GET", "/schedules/nightly").json()["last"] == found[0]
    page = send(client, olga_key, "GET", "/schedules/nightly/occurrences?limit=1").json()
    rest = send(client, olga_key, "GET", f"/schedules/nightly/occurrences?cursor={page['next_cursor']}").json()
    assert page["occurrences"] + rest["occurrences"] == found and rest["next_cursor"] is None
    one = send(client, olga_key, "GET", "/schedules/nightly/occurrences?fate=missed").json()["occurrences"]
    assert one == found[1:]
    for query in ("fate=lost", "since=x", "colour=red"):
        refused(send(client, olga_key, "GET", f"/schedules/nightly/occurrences?{query}"), 422, "invalid")


def test_a_job_says_which_schedule_made_it(client: Client, olga_key: str) -> None:
    schedule = off_for(timedelta(seconds=5))
    fire()
    job = send(client, olga_key, "GET", f"/jobs/{Job.objects.get().pk}").json()
    assert job["schedule"] == "nightly"
    assert job["scheduled_for"] == send(client, olga_key, "GET", "/schedules/nightly").json()["last"]["due_at"]
    assert schedule.pk and send(client, olga_key, "GET", f"/jobs/{enqueue_one().pk}").json()["schedule"] == ""


def test_run_now_is_refused_while_too_many_jobs_are_pending(client: Client, olga_key: str) -> None:
    JobKind.objects.create(name="report", max_pending=1)
    enqueue_one("report")
    a_schedule()
    answer = send(client, olga_key, "POST", "/schedules/nightly/run")
    assert refused(answer, 429, "too_many_pending")["kind"] == "report" and answer["Retry-After"]


def test_what_cannot_be_skipped_is_refused(client: Client, olga_key: str) -> None:
    a_schedule()
    Schedule.objects.update(next_at=None)
    answer = send(client, olga_key, "POST", "/schedules/nightly/skip")
    assert (answer.status_code, answer.json()["code"]) == (400, "nothing_to_skip")


def test_a_pause_until_a_moment_that_has_passed_is_refused(client: Client, olga_key: str) -> None:
    a_schedule()
    given = {"until": "2020-01-01T00:00:00Z", "reason": "move"}
    refused(send(client, olga_key, "POST", "/schedules/nightly/pause", given), 422, "invalid")
    later = given | {"until": "2100-01-01T00:00:00Z"}
    assert send(client, olga_key, "POST", "/schedules/nightly/pause", later).json()["status"] == "paused"
    shown = send(client, olga_key, "GET", "/schedules/nightly").json()
    assert (shown["paused"], shown["paused_until"], shown["pause_reason"]) == (
        True,
        "2100-01-01T00:00:00.000000Z",
        "move",
    )


def test_who_may_see_no_payloads_gets_null_and_its_name(client: Client, vera: User, vera_key: str) -> None:
    vera.user_permissions.remove(*vera.user_permissions.filter(codename="view_payload"))
    a_schedule(payload={"secret": "hunter2"})
    shown = send(client, vera_key, "GET", "/schedules/nightly").json()
    assert (shown["payload"], shown["hidden"]) == (None, ["payload"])


def test_a_key_for_some_kinds_has_the_schedules_of_these(client: Client, olga: User) -> None:
    a_schedule("mine")
    a_schedule("other", kind="mail")
    _, key = roster.create_key(olga, kinds=["report"])
    listed = send(client, key, "GET", "/schedules").json()["schedules"]
    assert [schedule["name"] for schedule in listed] == ["mine"]
    refused(send(client, key, "GET", "/schedules/other"), 403, "forbidden")
    # Neither may a schedule of another kind become one of its own, nor the other way round.
    refused(send(client, key, "PUT", "/schedules/other", {"kind": "report", "every": 60}), 403, "forbidden")
    refused(send(client, key, "PUT", "/schedules/mine", {"kind": "mail", "every": 60}), 403, "forbidden")
    assert send(client, key, "POST", "/schedules/mine/run").status_code == 200
