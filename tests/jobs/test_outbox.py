"""The outbox of the Python library: a job exists if, and only if, the application's transaction was committed."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import modify_settings, override_settings
from django.utils import timezone

from bots import roster
from jobs.models import Job
from jobsite_client import Client, JobsiteError, Unavailable
from tests.race import racers

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def outbox() -> Iterator[Any]:
    """The model's manager, with its table, where the app is installed."""
    with modify_settings(INSTALLED_APPS={"append": "jobsite_client.django"}):
        from jobsite_client.django.models import OutboxJob

        with connection.schema_editor() as editor:
            editor.create_model(OutboxJob)
        try:
            yield OutboxJob.objects
        finally:
            with connection.schema_editor() as editor:
                editor.delete_model(OutboxJob)


@pytest.fixture
def access(live_server: Any, olga: User) -> tuple[str, str]:
    """The address and a key."""
    return live_server.url, roster.create_key(olga)[1]


@pytest.fixture
def client(access: tuple[str, str]) -> Iterator[Client]:
    with Client(*access, retry_for=0) as client:
        yield client


def relay(client: Client) -> int:
    from jobsite_client.django.relay import relay as relay_once

    return relay_once(client)


def test_the_migration_is_that_of_the_model(outbox: Any) -> None:
    call_command("makemigrations", "jobsite_client", check=True, dry_run=True, verbosity=0)


def test_a_job_exists_if_and_only_if_the_transaction_was_committed(outbox: Any, client: Client) -> None:
    later = timezone.now() + timedelta(hours=1)
    with transaction.atomic():
        row = outbox.enqueue("sum", {"n": 1}, run_at=later, priority=3)
    with pytest.raises(LookupError), transaction.atomic():
        outbox.enqueue("sum", {"n": 2})
        raise LookupError("rolled back")
    assert not Job.objects.exists()
    assert (relay(client), relay(client)) == (1, 0)
    job = Job.objects.get()
    assert (job.payload, job.run_at, job.priority, job.key) == ({"n": 1}, later, 3, str(row.pk))
    assert not outbox.exists()


@pytest.mark.parametrize(("when", "jobs"), [("before", 0), ("after", 3)])
def test_a_relay_that_was_killed_doubles_and_loses_nothing(
    outbox: Any, client: Client, access: tuple[str, str], when: str, jobs: int
) -> None:
    """Killed before the server has the jobs, or after that and before the rows are deleted."""
    for number in range(3):
        outbox.enqueue("sum", number)
    path = os.pathsep.join([str(ROOT), str(ROOT / "client")])
    env = os.environ | {"PYTHONPATH": path, "OUTBOX_DATABASE": str(connection.settings_dict["NAME"])}
    command = [sys.executable, "-m", "tests.jobs.killed_relay", *access, when]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (Job.objects.count(), outbox.count()) == (jobs, 3)
    assert relay(client) == 3
    assert sorted(Job.objects.values_list("payload", flat=True)) == [0, 1, 2]
    assert not outbox.exists()


def test_two_relays_send_different_rows(outbox: Any, client: Client) -> None:
    outbox.enqueue("sum", 1)
    with transaction.atomic():
        outbox.waiting().select_for_update().get()
        # On another connection.
        with racers() as others:
            assert others.go(lambda: relay(client)).result(60) == 0
    assert relay(client) == 1


def test_a_job_that_the_server_refuses_keeps_no_other_from_it(outbox: Any, client: Client) -> None:
    for kind in ("sum", "", "mail"):
        outbox.enqueue(kind)
    assert relay(client) == 3
    assert sorted(Job.objects.values_list("kind_id", flat=True)) == ["mail", "sum"]
    left = outbox.get()
    assert "kind" in left.refused
    assert relay(client) == 0


def test_what_is_not_the_jobs_fault_is_tried_again(outbox: Any, access: tuple[str, str]) -> None:
    outbox.enqueue("sum")
    for url, error in (("http://127.0.0.1:1", Unavailable), (access[0], JobsiteError)):
        with Client(url, "jsk_wrong", retry_for=0) as client, pytest.raises(error):
            relay(client)
    assert outbox.waiting().count() == 1


def test_what_could_not_be_sent_is_refused_at_once(outbox: Any) -> None:
    with pytest.raises(ValueError, match="run_at needs a time zone"):
        outbox.enqueue("sum", run_at=datetime(2030, 1, 2))
    with pytest.raises(ValueError, match="key"):
        outbox.enqueue("sum", key="k")


def test_the_command_sends_what_is_there(outbox: Any, access: tuple[str, str]) -> None:
    from jobsite_client.django.management.commands.relay_jobs import Command

    outbox.enqueue("sum")
    options = {"URL": access[0], "KEY": access[1]}
    backend = {"BACKEND": "jobsite_client.django.backend.JobsiteBackend", "OPTIONS": options}
    with override_settings(TASKS={"default": backend}):
        call_command(Command(), "--once")
    assert (Job.objects.count(), outbox.count()) == (1, 0)
    outbox.enqueue("sum")
    options["KEY"] = "jsk_wrong"
    with override_settings(TASKS={"default": backend}), pytest.raises(CommandError):
        call_command(Command(), "--once")


def test_the_relay_goes_on_after_an_error_and_ends_when_it_is_stopped(outbox: Any, client: Client) -> None:
    from jobsite_client.django.relay import relay_until

    outbox.enqueue("sum")
    stopped, tries = threading.Event(), []

    class Broken(Client):
        def send(self, request: Any) -> Any:
            tries.append(request.path)
            if len(tries) == 1:
                raise Unavailable("away", maybe_done=True)
            stopped.set()
            return client.send(request)

    with Broken("http://127.0.0.1:1", "k") as broken:
        relay_until(stopped, broken, "default", 0.01)
    assert (len(tries), Job.objects.count(), outbox.count()) == (2, 1, 0)
