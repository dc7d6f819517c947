"""`manage.py send_alerts` as cron and a service meet it, and what a receiver gets when it is killed."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from alerts.delivery import outbox
from alerts.models import Channel, Delivery
from alerts.states import DeliveryStatus, Moment
from tests.cast import database_url
from tests.far_side import Got, Receiver, a_channel, an_incident, resolved

ROOT = Path(__file__).resolve().parents[3]
NOWHERE = "postgres://nobody:secret@127.0.0.1:1/none"
LINE = r"reminders 0, sent 1, failed 0, given up 0, dropped 0, held 0; \d+\.\d s, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\n"


def program(url: str, *arguments: str) -> "subprocess.Popen[str]":
    """The command as a process of its own, on the database at `url`."""
    ours = {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings", "ALERTS_ALLOW_PRIVATE": "1",
            "DATABASE_POOL_TIMEOUT": "1"}  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "manage.py", "send_alerts", *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | ours,
    )  # fmt: skip


@pytest.mark.django_db
def test_it_says_what_it_did_in_one_line(receiver: Receiver, inside_allowed: None) -> None:
    a_channel(receiver.url())
    outbox.enqueue_notifications(an_incident("ada"), Moment.OPENED)
    out = StringIO()
    call_command("send_alerts", stdout=out)
    assert re.fullmatch(LINE, out.getvalue())
    out = StringIO()
    call_command("send_alerts", json=True, stdout=out)
    assert json.loads(out.getvalue()) == {
        "reminders": 0, "sent": 0, "failed": 0, "given_up": 0, "dropped": 0, "held": 0,
    }  # fmt: skip


@pytest.mark.django_db
def test_what_could_not_be_sent_is_named_and_makes_the_exit_code_1(receiver: Receiver, inside_allowed: None) -> None:
    a_channel(receiver.url("/secret-path-1234"))
    receiver.answer = (404, b"nothing at /secret-path-1234", {})
    outbox.enqueue_notifications(an_incident("ada"), Moment.OPENED)
    err = StringIO()
    with pytest.raises(CommandError) as raised:
        call_command("send_alerts", stdout=StringIO(), stderr=err)
    assert raised.value.returncode == 1
    assert err.getvalue().endswith(" on call: 404 Not Found: nothing at /****\n")


def test_without_a_database_it_ends_with_one_line_and_exit_code_1() -> None:
    process = program(NOWHERE)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert err.splitlines()[-1].startswith("CommandError: Sending failed")
    assert "Traceback" not in err


@pytest.mark.django_db(transaction=True)
def test_a_loop_sends_what_comes_and_ends_on_sigterm_with_exit_code_0(receiver: Receiver) -> None:
    a_channel(receiver.url())
    process = program(database_url(), "--loop", "0.1", "--json")
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["sent"] == 0
        outbox.enqueue_notifications(an_incident("ada"), Moment.OPENED)
        assert any(json.loads(line)["sent"] == 1 for line in process.stdout)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0
    assert len(receiver.got) == 1


@pytest.mark.django_db(transaction=True)
def test_sigterm_waits_a_little_for_what_is_on_its_way_and_records_it(receiver: Receiver) -> None:
    a_channel(receiver.url())
    outbox.enqueue_notifications(an_incident("ada"), Moment.OPENED)
    process = program(database_url(), "--loop", "60")

    def stop_it(got: Got) -> tuple[int, bytes, dict[str, str]]:
        process.send_signal(signal.SIGTERM)
        return 200, b"ok", {}

    receiver.answer = stop_it
    try:
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0
    row = Delivery.objects.get()
    assert (row.status, row.trying_since) == (DeliveryStatus.SENT, None)


# --- SIGKILL, when the far side has it and the outbox does not know ---------------------------------------------


@pytest.fixture
def killed(db: None, receiver: Receiver, inside_allowed: None) -> dict[str, Any]:
    """A sender that was killed after the receiver had got the message, and before that was recorded."""
    channel = a_channel(receiver.url())
    incident = an_incident("ada")
    outbox.enqueue_notifications(incident, Moment.OPENED)
    process = program(database_url())
    dead = threading.Event()

    def kill_it(got: Got) -> tuple[int, bytes, dict[str, str]]:
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        dead.set()
        return 200, b"ok", {}

    receiver.answer = kill_it
    process.communicate(timeout=60)
    assert dead.wait(60)
    assert process.returncode == -signal.SIGKILL
    receiver.answer = (200, b"ok", {})
    return {"channel": channel, "incident": incident}


def send() -> dict[str, int]:
    """Another sender, which is not killed; what it did."""
    out = StringIO()
    call_command("send_alerts", json=True, stdout=out)
    counts: dict[str, int] = json.loads(out.getvalue())
    return counts


def lease_runs_out() -> None:
    Channel.objects.update(sender_until=timezone.now() - timedelta(seconds=1))


@pytest.mark.django_db(transaction=True)
def test_nothing_is_lost_and_the_repeat_has_the_same_name(receiver: Receiver, killed: dict[str, Any]) -> None:
    row = Delivery.objects.get()
    assert (row.status, row.tries) == (DeliveryStatus.WAITING, 1)
    assert row.trying_since is not None
    # While the dead sender's lease lasts, nobody repeats what may have arrived.
    assert send()["sent"] == 0
    assert len(receiver.got) == 1
    lease_runs_out()
    assert send()["sent"] == 1
    first, second = receiver.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == str(row.uid)
    assert first.body == second.body
    # And that was it.
    assert send()["sent"] == 0
    assert len(receiver.got) == 2
    row.refresh_from_db()
    assert (row.status, row.tries, row.unsure) == (DeliveryStatus.SENT, 2, True)


@pytest.mark.django_db(transaction=True)
def test_who_may_have_heard_of_it_hears_of_its_end(receiver: Receiver, killed: dict[str, Any]) -> None:
    outbox.enqueue_notifications(resolved(killed["incident"]), Moment.RESOLVED)
    lease_runs_out()
    counts = send()
    assert (counts["sent"], counts["dropped"]) == (1, 1)
    assert [json.loads(got.body)["moment"] for got in receiver.got] == ["opened", "resolved"]
