"""Jobs are deleted for good by a filter: with all that is stored about them, in parts, and with an entry in the log."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from bots.models import AuditEntry, Bot
from jobs import deletion, lifecycle
from jobs.lifecycle import By
from jobs.lists.filters import JobFilter
from jobs.models import Job, JobEvent
from tests.api.calls import refused, rows, send
from tests.cast import enqueue_one, make_older, person_named, take_one

pytestmark = pytest.mark.django_db

SECRET = "ann@example.org"


@pytest.fixture
def api(client, olga_key):
    """`api(filter, **more)`: the answer to the call."""

    def call(filter: Any, key: str = olga_key, **more: Any) -> Any:
        return send(client, key, "POST", "/jobs/delete", {"filter": filter, **more})

    return call


def command(*args: str) -> str:
    out = StringIO()
    call_command("delete_jobs", *args, stdout=out)
    return out.getvalue().strip()


def everything() -> str:
    """All that any table of ours has, as text."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        found = []
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT t::text FROM "{table}" t')
            found += [row[0] for row in cursor.fetchall()]
    return "\n".join(found)


def test_nothing_is_left_of_a_deleted_job(api, ada: Bot, olga) -> None:
    """Not its payload, result, error, history nor a late result."""
    lease = take_one(ada, payload={"to": SECRET}, key=SECRET)
    lease.fail(f"no {SECRET}")
    job = Job.objects.get(pk=lease.id)
    late = take_one(ada, payload={"to": SECRET})
    lifecycle.release([late.id], by=By.operator(olga))
    late.complete({"sent": SECRET})
    assert everything().count(SECRET) > 3
    answer = api({"payload": {"to": SECRET}}, reason="she asked for it")
    assert answer.json() == {"deleted": 2, "held": 0, "dry_run": False, "next_cursor": None}
    assert SECRET not in everything()
    assert not JobEvent.objects.filter(job__in=[job.pk, late.id]).exists()
    ada.refresh_from_db()
    assert ada.stuck_job_id is None


def test_an_entry_of_the_log_has_the_ids_the_filter_and_the_reason(api) -> None:
    jobs = [enqueue_one(kind="mail", key=f"k{n}") for n in range(2)]
    api({"kind": "mail", "key": "k0,k1"}, reason="asked for")
    entry = AuditEntry.objects.get(verb="delete")
    assert (entry.by, entry.object_type, entry.reason) == ("olga", "job", "asked for")
    assert entry.after == {"jobs": [j.pk for j in jobs], "filter": {"kinds": ["mail"], "keys": "[hidden]"}}


def test_a_job_that_a_bot_holds_is_left_and_counted(api, ada: Bot) -> None:
    lease = take_one(ada)
    pending = enqueue_one()
    assert api({"kind": "sum"}).json() == {"deleted": 1, "held": 1, "dry_run": False, "next_cursor": None}
    assert [job.pk for job in Job.objects.all()] == [lease.id]
    assert pending.pk != lease.id
    assert lease.complete().accepted == [lease.id]


def test_a_late_report_on_a_deleted_job_stores_nothing(api, client, ada: Bot, ada_token: str, olga) -> None:
    lease = take_one(ada)
    lifecycle.release([lease.id], by=By.operator(olga))
    api({"ids": [lease.id]})
    body = {"attempt": lease.attempt, "result": SECRET}
    refused(send(client, ada_token, "POST", f"/jobs/{lease.id}/complete", body), 404, "not_found")
    assert SECRET not in everything()


def test_a_dry_run_has_the_same_answer_and_changes_nothing(api) -> None:
    enqueue_one()
    before = rows()
    assert api({"kind": "sum"}, dry_run=True).json() == {"deleted": 1, "held": 0, "dry_run": True, "next_cursor": None}
    assert rows() == before


def test_a_call_deletes_so_many_and_the_next_goes_on(api) -> None:
    jobs = [enqueue_one() for _ in range(5)]
    first = api({"kind": "sum"}, most=2).json()
    assert (first["deleted"], first["next_cursor"]) == (2, str(jobs[1].pk))
    second = api({"kind": "sum"}, most=10, cursor=first["next_cursor"]).json()
    assert (second["deleted"], second["next_cursor"]) == (3, None)


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_call_looks_through_so_many_and_says_where_it_ended(api, monkeypatch, dry_run: bool) -> None:
    monkeypatch.setattr(deletion, "SEARCHED", 3)
    jobs = [enqueue_one(payload={"n": n}) for n in range(7)]
    cursor, deleted = None, 0
    calls = 0
    while calls == 0 or cursor is not None:
        answer = api({"payload": {"n": 6}}, dry_run=dry_run, cursor=cursor).json()
        cursor, deleted, calls = answer["next_cursor"], deleted + answer["deleted"], calls + 1
    assert (deleted, calls) == (1, 3)
    assert Job.objects.count() == len(jobs) - (0 if dry_run else 1)


def test_all_conditions_must_hold(api) -> None:
    old, new, other = enqueue_one(), enqueue_one(), enqueue_one(kind="mail")
    make_older(old, 60)
    make_older(other, 60)
    moment = new.created_at.isoformat()
    assert api({"kind": "sum", "created_before": moment, "status": ["pending", "failed"]}).json()["deleted"] == 1
    assert set(Job.objects.values_list("pk", flat=True)) == {new.pk, other.pk}
    assert api({"finished_before": moment}).json()["deleted"] == 0


@pytest.mark.parametrize(
    ("filter", "field"),
    [
        ({}, "filter"),
        ({"kind": ""}, "filter"),
        (None, "filter"),
        ({"surprise": 1}, "filter.surprise"),
        ({"kind": "no such"}, "filter.kind[0]"),
        ({"status": "lost"}, "filter.status[0]"),
        ({"key": '"a'}, "filter.key"),
        ({"payload": [1]}, "filter.payload"),
        ({"payload": {"a": "\0"}}, "filter.payload"),
        ({"created_before": "tomorrow"}, "filter.created_before"),
        ({"ids": [0]}, "filter.ids[0]"),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused_by_its_name(api, filter: Any, field: str) -> None:
    enqueue_one()
    before = rows()
    assert refused(api(filter), 422, "invalid")["errors"][0]["field"].startswith(field)
    assert rows() == before


def test_the_jobs_of_a_group_are_deleted(api) -> None:
    enqueue_one(group="acme"), enqueue_one(group="acme"), enqueue_one(group="other")
    assert api({"group": "acme"}).json()["deleted"] == 2
    assert Job.objects.get().group_name == "other"


def test_a_key_with_a_comma_stands_in_quotes(api) -> None:
    enqueue_one(key='a, "b"'), enqueue_one(key="c"), enqueue_one(key="d")
    assert api({"key": '"a, ""b""", c'}).json()["deleted"] == 2
    assert Job.objects.get().key == "d"


def test_it_needs_its_permission_and_that_for_payloads(api) -> None:
    from bots import roster

    enqueue_one()
    before = list(Job.objects.values())
    without = roster.create_key(person_named("pat", lambda name: name != "delete_job"))[1]
    blind = roster.create_key(person_named("pia", lambda name: name != "view_payload"))[1]
    narrow = roster.create_key(person_named("pim"), kinds=["mail"])[1]
    assert "jobs.delete_job" in refused(api({"kind": "sum"}, without), 403, "forbidden")["detail"]
    assert "jobs.view_payload" in refused(api({"payload": {"a": 1}}, blind), 403, "forbidden")["detail"]
    refused(api({"kind": "sum"}, narrow), 403, "forbidden")
    refused(api({"status": "pending"}, narrow), 403, "forbidden")
    assert list(Job.objects.values()) == before


def test_a_job_that_changed_meanwhile_is_left(db, olga) -> None:
    job = enqueue_one()
    lifecycle.cancel([job.pk], by=By.operator(olga))
    jobs = JobFilter(in_statuses=("pending",)).jobs().filter(pk__in=[job.pk])
    assert lifecycle.delete(jobs, by=By.operator(olga), reason="", selected={}) == 0


# --- The command ----------------------------------------------------------------------------------------------


def test_the_command_deletes_all_of_them_in_parts(monkeypatch, ada: Bot) -> None:
    monkeypatch.setattr(deletion, "BATCH_SIZE", 2)
    for n in range(5):
        enqueue_one(payload={"customer": n % 2})
    take_one(ada, payload={"customer": 0})
    match = json.dumps({"customer": 0})
    assert command("--payload", match, "--dry-run") == "Would delete 3 jobs. 1 is held by bots and left."
    assert command("--payload", match, "--reason", "asked for") == "Deleted 3 jobs. 1 is held by bots and left."
    assert Job.objects.count() == 3
    entries = AuditEntry.objects.filter(verb="delete")
    assert [(entry.by, entry.via, entry.reason) for entry in entries] == [("", "command", "asked for")] * 2


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "at least one condition"),
        (["--payload", "[1]"], "--payload: give an object"),
        (["--payload", "{"], "not JSON"),
        (["--created-before", "tomorrow"], "--created-before: a time"),
        (["--kind", "sum", "--reason", "x" * 501], "--reason: at most 500"),
    ],
)
def test_the_command_says_what_is_wrong_and_deletes_nothing(db, args: list[str], message: str) -> None:
    enqueue_one()
    with pytest.raises(CommandError, match=message):
        command(*args)
    assert Job.objects.count() == 1
