"""Django's tasks on Jobsite: the backend of the Python library, against the real server."""

import importlib
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from types import ModuleType
from typing import Any, cast

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.test import override_settings
from django.utils import timezone
from django_tasks import TaskResultStatus, default_task_backend, task_backends
from django_tasks.exceptions import InvalidTaskError, TaskResultDoesNotExist
from django_tasks.signals import task_enqueued, task_finished, task_started

from bots import roster
from jobs.models import Job
from jobsite_client import Bot
from jobsite_client.django.backend import JobsiteBackend
from jobsite_client.django.management.commands.run_jobsite_bot import Command
from jobsite_client.django.running import bot_for

pytestmark = pytest.mark.django_db(transaction=True)
#: Seconds after which something that should have happened has not.
DEADLINE = 60


@pytest.fixture
def options(live_server: Any, olga: User, ada_token: str) -> Iterator[dict[str, Any]]:
    """The options of the backend."""
    options = {"URL": live_server.url, "KEY": roster.create_key(olga)[1], "TOKEN": ada_token, "MAX_ATTEMPTS": 1}
    backend = {
        "BACKEND": "jobsite_client.django.backend.JobsiteBackend", "QUEUES": ["default", "mail"], "OPTIONS": options,
    }  # fmt: skip
    other = {"BACKEND": "django_tasks.backends.dummy.DummyBackend"}
    with override_settings(TASKS={"default": backend, "other": other}):
        yield options


@pytest.fixture
def shop(options: dict[str, Any]) -> ModuleType:
    """The tasks, which look at the settings when they are imported."""
    sys.modules.pop("tests.jobs.tasks_of_a_shop", None)
    return importlib.import_module("tests.jobs.tasks_of_a_shop")


def work() -> None:
    """Run all jobs that there are."""
    bot = bot_for(cast("JobsiteBackend", task_backends["default"]), poll_every=0.05)
    thread = threading.Thread(target=bot.run)
    thread.start()
    until = time.monotonic() + DEADLINE
    while Job.objects.exclude(status__in=["succeeded", "failed"]).exists():
        assert time.monotonic() < until, list(Job.objects.values_list("status", "error"))
        time.sleep(0.02)
    bot.stop()
    thread.join(DEADLINE)


def test_a_task_is_a_job_and_its_result_comes_back(shop: ModuleType) -> None:
    result = shop.add.enqueue(1, 2, times=3)
    job = Job.objects.get()
    assert (job.kind_id, job.max_attempts, len(job.key or "")) == ("default", 1, 32)
    assert job.payload == {"task": "tests.jobs.tasks_of_a_shop.add", "args": [1, 2], "kwargs": {"times": 3}}
    assert (result.id, result.status, result.enqueued_at) == (str(job.id), TaskResultStatus.READY, job.created_at)
    with pytest.raises(ValueError, match="not finished"):
        _ = result.return_value
    work()
    result.refresh()
    assert (result.status, result.return_value, result.attempts) == (TaskResultStatus.SUCCESSFUL, 9, 1)
    assert result.started_at <= result.finished_at
    again = shop.add.get_result(result.id)
    assert (again.args, again.kwargs, again.task.func) == ([1, 2], {"times": 3}, shop.add.func)


def test_queue_priority_and_time_are_the_jobs(shop: ModuleType) -> None:
    later = timezone.now() + timedelta(hours=1)
    shop.fails.using(run_after=later).enqueue("hat")
    job = Job.objects.get()
    assert (job.kind_id, job.priority, job.run_at) == ("mail", 5, later)
    with pytest.raises(InvalidTaskError, match="Queue 'post' is not valid"):
        shop.add.using(queue_name="post")


def test_a_task_that_raises_has_failed_with_its_error(shop: ModuleType) -> None:
    result = shop.fails.enqueue("hat")
    work()
    result.refresh()
    (error,) = result.errors
    assert (result.status, error.exception_class) == (TaskResultStatus.FAILED, LookupError)
    assert "There is no hat." in error.traceback
    with pytest.raises(ValueError, match="Task failed"):
        _ = result.return_value


def test_a_task_gets_its_context_and_may_be_async(shop: ModuleType) -> None:
    first, second = shop.which_try.enqueue(), shop.waits.enqueue(0.5)
    work()
    first.refresh(), second.refresh()
    assert first.return_value == [1, first.id]
    assert second.return_value == "0.5 s"


def test_async_code_enqueues_and_reads_results(shop: ModuleType) -> None:
    async def flow() -> Any:
        result = await shop.add.aenqueue(4)
        await result.arefresh()
        return await shop.add.aget_result(result.id)

    assert async_to_sync(flow)().status == TaskResultStatus.READY


def test_signals_are_sent_where_it_happens(shop: ModuleType) -> None:
    seen = []

    def note(**event: Any) -> None:
        seen.append((event["task_result"].id, event["task_result"].status))

    signals = (task_enqueued, task_started, task_finished)
    for signal in signals:
        signal.connect(note)
    job = shop.add.enqueue(1).id
    work()
    for signal in signals:
        signal.disconnect(note)
    assert seen == [
        (job, TaskResultStatus.READY), (job, TaskResultStatus.RUNNING), (job, TaskResultStatus.SUCCESSFUL),
    ]  # fmt: skip


def test_arguments_that_json_does_not_have_are_refused_at_once(shop: ModuleType) -> None:
    with pytest.raises(TypeError, match="Unsupported type"):
        shop.add.enqueue(object())
    assert not Job.objects.exists()


def test_a_result_that_is_none_does_not_exist(shop: ModuleType, options: dict[str, Any]) -> None:
    backend = cast("JobsiteBackend", task_backends["default"])
    other = backend.client.enqueue("default", {"of": "another program"})["id"]
    for result in ("999999999", "none", "", str(other)):
        with pytest.raises(TaskResultDoesNotExist):
            default_task_backend.get_result(result)


def test_a_task_that_is_no_more_fails_for_good(shop: ModuleType, options: dict[str, Any]) -> None:
    client = cast("JobsiteBackend", task_backends["default"]).client
    client.enqueue("default", {"task": "tests.jobs.tasks_of_a_shop.gone", "args": [], "kwargs": {}})
    client.enqueue("default", {"task": "os.getcwd", "args": [], "kwargs": {}})
    work()
    first, second = Job.objects.order_by("id")
    assert (first.status, "cannot be imported" in (first.error or "")) == ("failed", True)
    assert (second.status, second.error) == ("failed", "'os.getcwd' is no task.")


def test_the_command_runs_the_queues_that_are_named(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Bot] = []
    monkeypatch.setattr(Bot, "run", lambda bot: ran.append(bot) or 75)
    for arguments in ((), ("--queue", "mail", "--concurrency", "2")):
        with pytest.raises(SystemExit) as ended:
            call_command(Command(), *arguments)
        assert ended.value.code == 75
    assert [(bot.kinds, bot.options.concurrency) for bot in ran] == [(["default", "mail"], 4), (["mail"], 2)]
    with pytest.raises(CommandError, match="no queue post"):
        call_command(Command(), "--queue", "post")
    with pytest.raises(CommandError, match="is not JobsiteBackend"):
        call_command(Command(), "--backend", "other")


def test_options_that_are_missing_are_named() -> None:
    backend = JobsiteBackend("default", {"OPTIONS": {"URL": "http://127.0.0.1:1", "KEYS": "x"}})
    found = [message.msg for message in backend.check()]
    assert found == [
        'The task backend default needs OPTIONS["KEY"].', 'The task backend default has no option "KEYS".',
    ]  # fmt: skip
    with pytest.raises(ImproperlyConfigured, match=r'Set OPTIONS\["KEY"\]'):
        _ = backend.client
