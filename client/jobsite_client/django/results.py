"""A task as a job, and a job as the result of a task."""

import re
from typing import Any

from django.utils.module_loading import import_string

from ..answers import JobOut
from ..tries import which_try
from .tasks import Task, TaskError, TaskResult, TaskResultDoesNotExist, TaskResultStatus, normalize_json

STATUSES = {
    "pending": TaskResultStatus.READY,
    "claimed": TaskResultStatus.RUNNING,
    "processing": TaskResultStatus.RUNNING,
    "succeeded": TaskResultStatus.SUCCESSFUL,
    "failed": TaskResultStatus.FAILED,
    "cancelled": TaskResultStatus.FAILED,
}
# The last line of a traceback that names what was raised.
RAISED = re.compile(r"^([A-Za-z_][\w.]*)(?::|$)", re.MULTILINE)


def job_fields(task: Task, args: Any, kwargs: Any) -> dict[str, Any]:
    """What is enqueued for a task. Raises TypeError for arguments that JSON does not have."""
    payload = {"task": task.module_path, "args": normalize_json(list(args)), "kwargs": normalize_json(dict(kwargs))}
    return {"kind": task.queue_name, "payload": payload, "priority": task.priority, "run_at": task.run_after}


def task_of(payload: Any) -> Task:
    """The task that a payload names. Raises ValueError if it names none."""
    path = payload.get("task") if isinstance(payload, dict) else None
    try:
        task = import_string(path) if isinstance(path, str) else None
    except ImportError as error:
        raise ValueError(f"The task cannot be imported: {error}") from None
    if not isinstance(task, Task):
        raise ValueError(f"{path!r} is no task.")
    return task


def result_of(job: JobOut, alias: str, task: Task | None = None) -> TaskResult:
    """The result of a task by its job. Raises TaskResultDoesNotExist if the job is of no task."""
    payload = job["payload"]
    if task is None:
        try:
            task = task_of(payload).using(priority=job["priority"], queue_name=job["kind"], backend=alias)
        except ValueError as error:
            why = "the API key may not see payloads" if "payload" in job["hidden"] else str(error)
            raise TaskResultDoesNotExist(f"{job['id']}: {why}") from None
        payload = {"args": [], "kwargs": {}} | payload
    elif payload is None:
        # A key that may add jobs need not see payloads.
        payload = {"args": [], "kwargs": {}}
    result: TaskResult = TaskResult(
        task=task,
        id=str(job["id"]),
        status=STATUSES[job["status"]],
        enqueued_at=job["created_at"],
        started_at=job["started_at"],
        finished_at=job["finished_at"],
        last_attempted_at=job["claimed_at"] or job["started_at"],
        args=payload["args"],
        kwargs=payload["kwargs"],
        backend=alias,
        errors=[_error(job["error"])] if job["error"] else [],
        worker_ids=[job["bot"] or "jobsite"] * which_try(job["attempt"]),
    )
    object.__setattr__(result, "_return_value", job["result"])
    return result


def _error(text: str) -> TaskError:
    """The last error, of which the server has the traceback."""
    names = RAISED.findall(text)
    path = names[-1] if names else "Exception"
    return TaskError(exception_class_path=path if "." in path else f"builtins.{path}", traceback=text)
