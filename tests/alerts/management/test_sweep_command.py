"""`manage.py sweep_stuck` as cron, a service and an operator at night meet it."""

import functools
import json
import os
import re
import signal
import subprocess
import sys
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, ProgrammingError, connection
from rich.console import Console

from alerts.delivery import timing
from alerts.management.commands import sweep_stuck
from alerts.models import Delivery, Incident
from bots.models import Bot
from jobs.models import SweepRun
from jobs.sweep import batches, duties, result, run
from tests.cast import bot_named, database_url, make_older, take_one
from tests.far_side import Receiver, a_channel

ROOT = Path(__file__).resolve().parents[3]
#: Nobody listens there.
NOWHERE = "postgres://nobody:secret@127.0.0.1:1/none"


def program(url: str, *arguments: str, **env: str) -> "subprocess.Popen[str]":
    """The command as a process of its own, on the database at `url`."""
    return subprocess.Popen(
        [sys.executable, "manage.py", "sweep_stuck", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ
        | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "jobsite.settings", "DEBUG": "1",
           "DATABASE_POOL_TIMEOUT": "1", "PGAPPNAME": "sweep"}
        | env,
    )  # fmt: skip


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.django_db
def test_the_line_says_how_long_it_took_and_when_it_was(ada: Bot) -> None:
    make_older(take_one(ada), 7)
    out = StringIO()
    call_command("sweep_stuck", stdout=out)
    assert re.fullmatch(
        r"checked 1, potentially stuck 0, unhealthy 1, recovered 0, down \d, expired 1, failed 0, flagged 0, "
        r"dropped 0, pruned 0, incidents opened 1, incidents resolved 0; "
        r"\d+\.\d s, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\n",
        out.getvalue(),
    )


@pytest.mark.django_db
def test_on_a_terminal_a_table_says_what_was_done_to_which_job_and_why(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result, "MAX_ACTIONS", 2)
    monkeypatch.setattr(sweep_stuck, "Console", functools.partial(Console, width=150))
    leases = [take_one(bot_named(f"bot {n}")) for n in range(3)]
    for lease in leases:
        make_older(lease, 7)
    out = Terminal()
    call_command("sweep_stuck", dry_run=True, stdout=out)
    table = capsys.readouterr().out
    assert re.search(rf"silent for 7 m( \d+ s)? on sum job {leases[0].id}, limit 2 m", table)
    assert "bot 0" in table
    assert "expire" in table
    assert "and 1 more" in table
    assert out.getvalue().startswith("Dry run: checked 3,")


@pytest.mark.django_db
def test_json_has_the_incidents_that_this_sweep_opened_and_a_dry_run_opens_none(ada: Bot) -> None:
    make_older(take_one(ada), 3)
    opened = {}
    for name, options in {"dry": {"dry_run": True}, "first": {}, "second": {}}.items():
        out = StringIO()
        call_command("sweep_stuck", json=True, stdout=out, **options)
        opened[name] = json.loads(out.getvalue())["incidents_opened"]
    assert opened == {"dry": 0, "first": 1, "second": 0}


@pytest.mark.django_db
def test_the_record_of_a_sweep_has_its_incidents_unless_a_later_sweep_is_on_record(ada: Bot) -> None:
    make_older(take_one(ada), 3)
    call_command("sweep_stuck", stdout=StringIO())
    assert SweepRun.objects.get().counts["incidents_opened"] == 1
    earlier = run.sweep()
    run.sweep()
    earlier.incidents_opened = 7
    duties.record_incidents(earlier)
    assert SweepRun.objects.get().counts["incidents_opened"] == 0


@pytest.mark.django_db
def test_a_sweep_of_one_kind_opens_incidents_of_that_kind_alone(ada: Bot) -> None:
    make_older(take_one(ada), 3)
    make_older(take_one(bot_named("bert"), kind="divide"), 3)
    call_command("sweep_stuck", kind="divide", stdout=StringIO())
    assert [incident.about for incident in Incident.objects.all()] == ["divide"]


@pytest.mark.django_db
def test_a_sweep_that_fails_says_so_in_one_line_and_with_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(**options: Any) -> result.Swept:
        raise OperationalError("server closed the connection\n\tunexpectedly")

    monkeypatch.setattr(sweep_stuck, "sweep", fails)
    with pytest.raises(CommandError) as raised:
        call_command("sweep_stuck")
    assert raised.value.returncode == 1
    assert str(raised.value).endswith("server closed the connection unexpectedly")


def test_without_a_database_it_ends_with_one_line_and_exit_code_1() -> None:
    process = program(NOWHERE)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    # Before it the pool of connections has said what it met.
    assert err.splitlines()[-1].startswith("CommandError: The sweep failed")
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_loop_without_a_database_goes_on_until_it_is_stopped(number: signal.Signals) -> None:
    process = program(NOWHERE, "--loop", "0.1")
    try:
        assert process.stderr is not None
        failed = (line for line in process.stderr if "The sweep failed and will be tried again." in line)
        assert next(failed)
        assert next(failed)
        process.send_signal(number)
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out) == (0, "")


@pytest.mark.usefixtures("direct")
@pytest.mark.django_db(transaction=True)
def test_a_loop_outlives_the_loss_of_its_connections_and_ends_on_sigterm(ada: Bot) -> None:
    process = program(database_url(), "--loop", "0.05")
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("checked 0,")
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'sweep'"
            )
            assert cursor.fetchall()
        lease = take_one(ada)
        make_older(lease, 7)
        # It may have been between two sweeps, and then has nothing to complain of.
        for line in process.stdout:
            if line.startswith("checked 1,"):
                break
        assert lease.job.claimed_by is None
        process.terminate()
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0


@pytest.mark.django_db(transaction=True)
def test_sigterm_in_the_midst_of_a_batch_takes_that_batch_back(ada: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = take_one(ada)
    make_older(lease, 7)

    def stopped(*args: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(batches, "_expire", stopped)
    before = signal.getsignal(signal.SIGTERM)
    call_command("sweep_stuck", loop=5.0)
    assert lease.job.claimed_by == ada
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.django_db
@pytest.mark.parametrize("error", [ProgrammingError("in a transaction"), OperationalError("closed")], ids=repr)
def test_what_cleaning_up_after_sigterm_complains_of_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def stopped(*args: Any, **given: Any) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            raise error

    monkeypatch.setattr(sweep_stuck, "_sweep", stopped)
    err = StringIO()
    call_command("sweep_stuck", loop=5.0, stderr=err)
    assert err.getvalue() == ""


@pytest.mark.django_db
def test_an_error_of_our_own_ends_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **given: Any) -> None:
        raise ProgrammingError("no such column")

    monkeypatch.setattr(sweep_stuck, "_sweep", broken)
    with pytest.raises(ProgrammingError, match="no such column"):
        call_command("sweep_stuck", loop=5.0)


# --- What is to be told -------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_sweep_that_finds_a_bot_stuck_tells_of_it(ada: Bot, receiver: Receiver, inside_allowed: None) -> None:
    a_channel(receiver.url())
    lease = take_one(ada)
    make_older(lease, 3)
    for _ in range(3):
        call_command("sweep_stuck", stdout=StringIO())
    (got,) = receiver.got
    told = json.loads(got.body)
    assert told["incident"]["title"].startswith("ada is stuck on a sum job")
    assert [bot["name"] for bot in told["bots"]] == ["ada"]
    assert f"/admin/jobs/job/{lease.id}/release/" in json.dumps(told)


@pytest.mark.django_db
def test_a_broken_channel_is_no_broken_sweep(ada: Bot, receiver: Receiver, inside_allowed: None) -> None:
    a_channel(receiver.url())
    receiver.answer = (503, b"not now", {})
    make_older(take_one(ada), 3)
    out, err = StringIO(), StringIO()
    call_command("sweep_stuck", stdout=out, stderr=err)
    assert "incidents opened 1" in out.getvalue()
    assert err.getvalue().endswith(" on call: 503 Service Unavailable: not now\n")


@pytest.mark.django_db
def test_a_single_sweep_leaves_what_it_has_no_time_for_to_the_next_sender(
    ada: Bot, receiver: Receiver, inside_allowed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_channel(receiver.url())
    make_older(take_one(ada), 3)
    monkeypatch.setattr(timing, "RUN_TIME_AFTER_SWEEP", timedelta(0))
    call_command("sweep_stuck", stdout=StringIO())
    row = Delivery.objects.get()
    assert (receiver.got, row.status, row.tries, row.channel.sender) == ([], "waiting", 0, None)
    call_command("send_alerts", stdout=StringIO())
    assert len(receiver.got) == 1


@pytest.mark.django_db(transaction=True)
def test_a_receiver_that_hangs_holds_up_neither_the_loops_sweeps_nor_other_channels(
    ada: Bot, receiver: Receiver, another_receiver: Receiver
) -> None:
    a_channel(receiver.url(), name="dead")
    receiver.never_answers()
    make_older(take_one(ada), 3)
    process = program(database_url(), "--loop", "0.05", ALERTS_ALLOW_PRIVATE="1")
    try:
        assert process.stdout is not None
        for _ in process.stdout:
            if receiver.got:
                break
        hanging = Delivery.objects.get()
        # Sweeps go on, and what another one finds is told while that try still waits for its answer.
        well = a_channel(another_receiver.url(), name="well")
        make_older(take_one(bot_named("bert"), kind="divide"), 3)
        for _ in process.stdout:
            if another_receiver.got:
                break
        hanging.refresh_from_db()
        assert hanging.trying_since is not None
        assert well.deliveries.get().incident.about == "divide"
        process.terminate()
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, err) == (0, "")
    # Stopped in the midst of it, it may have arrived; another sender will say so, and try again.
    assert Delivery.objects.get(channel__name="dead", incident=hanging.incident).status == "waiting"


@pytest.mark.django_db
def test_a_dry_run_tells_nobody(ada: Bot, receiver: Receiver, inside_allowed: None) -> None:
    a_channel(receiver.url())
    make_older(take_one(ada), 3)
    call_command("sweep_stuck", dry_run=True, stdout=StringIO())
    assert receiver.got == []
