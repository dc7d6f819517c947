"""A row that somebody has locked and forgotten: each write that needs it is 503 after a few seconds, and names it."""

import base64
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from bots.models import ApiKey, Bot
from jobs.models import Job, JobKind
from tests.cast import bot_named, enqueue_one, take_one
from tests.entered import EnteringClient
from tests.far_side import Receiver, a_channel, an_incident
from tests.race import PATIENCE, Racers, racers

pytestmark = pytest.mark.django_db(transaction=True)
Call = Callable[[], Any]


@pytest.fixture
def run() -> Iterator[Racers]:
    with racers() as run:
        yield run


@pytest.fixture
def as_olga(olga_key: str) -> Callable[..., Call]:
    """`as_olga(path, **body)`: a call with her key."""

    def call(path: str, **body: Any) -> Call:
        headers = {"Authorization": f"Bearer {olga_key}"}
        return lambda: EnteringClient(headers=headers).post(f"/api/v1{path}", body, content_type="application/json")

    return call


@pytest.fixture
def in_console(olga: User) -> Callable[..., Call]:
    """`in_console(url, **form)`: what she presses in the console."""
    olga.is_superuser = True
    olga.save()

    def press(url: str, **form: Any) -> Call:
        def send() -> Any:
            client = EnteringClient(raise_request_exception=False)
            client.force_login(olga)
            return client.post(url, form)

        return send

    return press


def by_bot(bot: Bot, path: str, **body: Any) -> Call:
    headers = {"Authorization": f"Bearer {bot.token}"}  # type: ignore[attr-defined]
    return lambda: EnteringClient(headers=headers).post(f"/api/v1{path}", body, content_type="application/json")


def a_file(lines: bytes) -> dict[str, str]:
    """The form that loads a file which was checked."""
    return {"content": base64.b64encode(zlib.compress(lines)).decode(), "format": "ndjson", "load": "yes"}


def sent_while_locked(run: Racers, row: Model, *calls: Call) -> list[HttpResponse]:
    """The answers to these calls, made at once while another transaction has the row."""
    with transaction.atomic():
        type(row)._base_manager.select_for_update().get(pk=row.pk)
        return [future.result(PATIENCE) for future in [run.go(call) for call in calls]]


def check(answers: list[HttpResponse], name: str) -> None:
    assert [answer.status_code for answer in answers] == [503] * len(answers), [a.content[:300] for a in answers]
    for answer in answers:
        assert answer["Retry-After"]
        assert f"{name} is locked just now" in answer.content.decode()


def test_a_job_that_a_bot_reports_on(run: Racers, ada: Bot) -> None:
    lease = take_one(ada)
    named = {"id": lease.id, "attempt": 1}
    calls = [
        by_bot(ada, f"/jobs/{lease.id}/{verb}", attempt=1, **more)
        for verb, more in {"start": {}, "heartbeat": {}, "complete": {}, "fail": {"error": "x"}, "release": {}}.items()
    ]
    calls.append(by_bot(ada, "/exchange", completed=[named]))
    check(sent_while_locked(run, lease.job, *calls), f"Job {lease.id}")
    assert by_bot(ada, f"/jobs/{lease.id}/complete", attempt=1)().status_code == 200


def test_a_job_that_an_operator_acts_on(run: Racers, ada: Bot, as_olga: Any, in_console: Any) -> None:
    lease = take_one(ada)
    of_job = [as_olga(f"/jobs/{lease.id}/{verb}") for verb in ("release", "cancel")]
    ticked = {"_selected_action": [lease.id], "confirmed": "yes"}
    actions = [
        in_console(reverse("admin:jobs_job_changelist"), action=f"{verb}_jobs", **ticked)
        for verb in ("release", "cancel")
    ]
    actions.append(in_console(reverse("admin:jobs_job_release", args=[lease.id]), confirmed="yes"))
    actions.append(in_console(reverse("admin:bots_bot_changelist"), action="release_held", _selected_action=[ada.pk],
                              confirmed="yes"))  # fmt: skip
    # All that match, among which it is.
    page = reverse("admin:jobs_job_changelist")
    every = {"_selected_action": [lease.id], "select_across": "1", "confirmed": "yes"}
    actions += [in_console(f"{page}?view=held", action=f"{verb}_jobs", **every) for verb in ("release", "cancel")]
    actions.append(in_console(page, action="prioritise_jobs", priority="7", **every))
    check(sent_while_locked(run, lease.job, *of_job, *actions), f"Job {lease.id}")
    assert of_job[0]().status_code == 200


def test_a_finished_job_that_is_retried(run: Racers, ada: Bot, as_olga: Any, in_console: Any) -> None:
    lease = take_one(ada)
    lease.fail(retry=False)
    retry = in_console(reverse("admin:jobs_job_retry", args=[lease.id]), confirmed="yes")
    check(sent_while_locked(run, lease.job, as_olga(f"/jobs/{lease.id}/retry"), retry), f"Job {lease.id}")


def test_a_bot(run: Racers, ada: Bot, as_olga: Any) -> None:
    enqueue_one()
    calls = [
        by_bot(ada, "/claim"),
        by_bot(ada, "/heartbeat"),
        by_bot(ada, "/hello", instance="ada-1"),
        *(as_olga(f"/bots/{ada.pk}/{verb}") for verb in ("pause", "restart")),
        as_olga(f"/bots/{ada.pk}/expect", expected=False),
    ]
    check(sent_while_locked(run, ada, *calls), "Bot ada")


def test_a_bot_that_is_changed_in_the_console(run: Racers, ada: Bot, in_console: Any) -> None:
    page = reverse("admin:bots_bot_changelist")
    calls = [
        *(in_console(page, action=verb, _selected_action=[ada.pk], confirmed="yes") for verb in ("pause", "restart")),
        in_console(reverse("admin:bots_bot_change", args=[ada.pk]), name="ada", kinds="", capacity=3, expected="on"),
        in_console(reverse("admin:bots_bot_rotate", args=[ada.pk]), confirmed="yes"),
    ]
    check(sent_while_locked(run, ada, *calls), "Bot ada")


def test_a_kind(run: Racers, ada: Bot, as_olga: Any, in_console: Any) -> None:
    enqueue_one("sum")
    kind = JobKind.objects.get(name="sum")
    page = reverse("admin:jobs_jobkind_changelist")
    calls = [
        as_olga("/jobs", kind="sum"),
        as_olga("/jobs/bulk", jobs=[{"kind": "sum"}] * 300),
        in_console(page, action="pause", _selected_action=["sum"]),
        in_console(reverse("admin:jobs_job_add"), kind="sum", payload="{}", priority=0, key=""),
        load := in_console(reverse("admin:jobs_job_upload"), **a_file(b'{"kind":"mail"}\n{"kind":"sum"}\n')),
    ]
    check(sent_while_locked(run, kind, *calls), "Kind sum")
    assert Job.objects.count() == 1
    assert load().status_code == 302
    assert Job.objects.count() == 3


def test_the_kind_of_a_job_that_is_held_is_not_needed(run: Racers, ada: Bot) -> None:
    lease = take_one(ada)
    enqueue_one("sum")
    kind = JobKind.objects.get(name="sum")
    report, claim = by_bot(ada, f"/jobs/{lease.id}/complete", attempt=1), by_bot(bot_named("bob"), "/claim")
    answers = sent_while_locked(run, kind, report, claim)
    assert [answer.status_code for answer in answers] == [200, 200]


def test_an_incident(run: Racers, as_olga: Any, in_console: Any) -> None:
    incident = an_incident("ada")
    page = reverse("admin:alerts_incident_changelist")
    calls = [
        as_olga(f"/incidents/{incident.pk}/acknowledge"),
        in_console(page, action="acknowledge", _selected_action=[incident.pk]),
    ]
    check(sent_while_locked(run, incident, *calls), f"Incident {incident.pk}")


def test_a_channel(
    run: Racers, in_console: Any, receiver: Receiver, inside_allowed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = a_channel(receiver.url())
    form = {"name": "on call", "way": "webhook", "address": receiver.url(), "min_severity": "warning"}
    times = {"after": "0:00:00", "again_every": "", "quiet_from": "", "quiet_until": "", "kinds": "", "bots": ""}
    pages = {
        part: reverse(f"admin:alerts_channel_{part}", args=[channel.pk]) for part in ("change", "secret", "retire")
    }
    calls = [
        in_console(pages["change"], **form, **times),
        in_console(pages["secret"], post="yes"),
        in_console(pages["retire"], post="yes"),
        in_console(reverse("admin:alerts_channel_test", args=[channel.pk])),
    ]
    *changes, test = sent_while_locked(run, channel, *calls)
    check(changes, "Channel on call")
    # Its answer is shown, though it cannot be recorded.
    assert (test.status_code, len(receiver.got)) == (302, 1)


def test_a_key_that_somebody_enqueues_and_does_not_commit(run: Racers, in_console: Any, as_olga: Any) -> None:
    enqueue_one("sum")
    calls = [
        in_console(reverse("admin:jobs_job_upload"), **a_file(b'{"kind":"sum","key":"k"}\n')),
        in_console(reverse("admin:jobs_job_add"), kind="sum", payload="{}", priority=0, key="k"),
        as_olga("/jobs", kind="sum", key="k"),
        as_olga("/jobs/bulk", jobs=[{"kind": "sum", "key": "k"}] * 1),
    ]
    with transaction.atomic():
        enqueue_one("sum", key="k")
        answers = [future.result(PATIENCE) for future in [run.go(call) for call in calls]]
        transaction.set_rollback(True)
    assert [answer.status_code for answer in answers] == [503] * 4
    assert all("is locked just now" in answer.content.decode() for answer in answers)
    assert Job.objects.count() == 1


def test_the_row_of_a_key_is_not_needed_to_call_with_it(run: Racers, as_olga: Any, olga_key: str) -> None:
    key = ApiKey.objects.get()
    (answer,) = sent_while_locked(run, key, as_olga("/jobs", kind="sum"))
    assert answer.status_code == 201
    key.refresh_from_db()
    assert key.last_used_at is None
    as_olga("/jobs", kind="sum")()
    key.refresh_from_db()
    assert key.last_used_at is not None


def test_a_row_that_is_not_known_by_name(run: Racers, olga: User) -> None:
    """A person's row, at the log-in: the page says that it was not done."""
    client = Client()
    form = {"username": "olga", "password": "olga has a long password"}

    def log_in() -> HttpResponse:
        entering = EnteringClient(raise_request_exception=False)
        return entering.post(reverse("admin:login"), form)  # type: ignore[return-value]

    check(sent_while_locked(run, olga, log_in), f"User {olga.pk}")
    assert client.login(username="olga", password="olga has a long password")
    assert Job.objects.count() == 0
