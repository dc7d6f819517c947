"""Run tasks of Django as the handlers of a bot."""

from collections.abc import Iterable
from typing import Any

from django.db import close_old_connections

from ..bot import Bot
from ..errors import GiveUp
from ..job import Job
from ..tries import which_try
from .backend import JobsiteBackend
from .results import STATUSES, task_of
from .tasks import Task, TaskContext, TaskResult, normalize_json, task_finished, task_started


def bot_for(backend: JobsiteBackend, queues: Iterable[str] = (), **options: Any) -> Bot:
    """A bot that runs the tasks of these queues, or of all that the backend has."""

    def run(job: Job) -> Any:
        return _run(backend, job)

    chosen = sorted(set(queues) or backend.queues)
    return Bot(backend.option("URL"), backend.option("TOKEN"), dict.fromkeys(chosen, run), **options)


def _run(backend: JobsiteBackend, job: Job) -> Any:
    """Run one task. What it raises fails the job; where the task is unknown, for good."""
    try:
        task = task_of(job.payload)
    except ValueError as error:
        raise GiveUp(str(error)) from None
    result = _running(backend, job, task)
    close_old_connections()
    task_started.send(type(backend), task_result=result)
    try:
        context = (TaskContext(task_result=result),) if task.takes_context else ()
        value = normalize_json(task.call(*context, *result.args, **result.kwargs))
    except BaseException:
        _end(backend, result, "failed")
        raise
    else:
        _end(backend, result, "succeeded", value)
        return value
    finally:
        close_old_connections()


def _running(backend: JobsiteBackend, job: Job, task: Task) -> TaskResult:
    return TaskResult(
        task=task,
        id=str(job.id),
        status=STATUSES["processing"],
        enqueued_at=None,
        started_at=None,
        finished_at=None,
        last_attempted_at=None,
        args=job.payload.get("args", []),
        kwargs=job.payload.get("kwargs", {}),
        backend=backend.alias,
        errors=[],
        worker_ids=["jobsite"] * which_try(job.attempt),
    )


def _end(backend: JobsiteBackend, result: TaskResult, status: str, value: Any = None) -> None:
    object.__setattr__(result, "status", STATUSES[status])
    object.__setattr__(result, "_return_value", value)
    task_finished.send(type(backend), task_result=result)
