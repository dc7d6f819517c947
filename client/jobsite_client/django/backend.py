"""The backend for Django's tasks: a task is enqueued as a job of the kind that its queue names."""

import uuid
from collections.abc import Iterable
from typing import Any

from asgiref.sync import sync_to_async
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from ..answers import JobOut
from ..api import Client
from ..errors import JobsiteError
from .results import job_fields, result_of
from .tasks import BaseTaskBackend, Task, TaskResult, TaskResultDoesNotExist, task_enqueued

OPTIONS = {"URL", "KEY", "TOKEN", "MAX_ATTEMPTS"}


class JobsiteBackend(BaseTaskBackend):
    """`TASKS = {"default": {"BACKEND": "jobsite_client.django.backend.JobsiteBackend", "OPTIONS": {…}}}`.

    `URL` is the server's address, `KEY` an API key that may add and view jobs and their payloads, `TOKEN` the token of
    the bot that `run_jobsite_bot` runs. `MAX_ATTEMPTS` of each task; by default those of the kind.
    """

    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        super().__init__(alias, params)
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        """The client of producers. Thread-safe, so that one is enough."""
        if self._client is None:
            self._client = Client(self.option("URL"), self.option("KEY"))
        return self._client

    def option(self, name: str) -> str:
        """An option that is needed."""
        if not self.options.get(name):
            raise ImproperlyConfigured(f'Set OPTIONS["{name}"] of the task backend {self.alias}.')
        return str(self.options[name])

    def enqueue(self, task: Task, args: Any, kwargs: Any) -> TaskResult:
        """Enqueue the task as a job. Repeated after lost answers: its key is random, and one call is one job."""
        self.validate_task(task)
        fields = job_fields(task, args, kwargs)
        fields |= {"key": uuid.uuid4().hex, "max_attempts": self.options.get("MAX_ATTEMPTS")}
        result = result_of(self.client.enqueue(**fields), self.alias, task)
        task_enqueued.send(type(self), task_result=result)
        return result

    async def aenqueue(self, task: Task, args: Any, kwargs: Any) -> TaskResult:
        """The same in a thread: tasks are enqueued from code of either sort, and one client serves both."""
        return await sync_to_async(self.enqueue, thread_sensitive=False)(task, args, kwargs)

    def get_result(self, result_id: str) -> TaskResult:
        """The result of the job with this id. Raises TaskResultDoesNotExist."""
        if not (result_id.isascii() and result_id.isdigit()):
            raise TaskResultDoesNotExist(result_id)
        try:
            job: JobOut = self.client.job(result_id)
        except JobsiteError as error:
            if error.status == 404:
                raise TaskResultDoesNotExist(result_id) from None
            raise
        return result_of(job, self.alias)

    async def aget_result(self, result_id: str) -> TaskResult:
        """The same in a thread."""
        return await sync_to_async(self.get_result, thread_sensitive=False)(result_id)

    def check(self, **kwargs: Any) -> Iterable[checks.CheckMessage]:
        """Options that are missing or unknown."""
        name = f"The task backend {self.alias}"
        for missing in sorted({"URL", "KEY"} - {option for option, value in self.options.items() if value}):
            yield checks.Error(f'{name} needs OPTIONS["{missing}"].', id="jobsite_client.E001")
        for unknown in sorted(self.options.keys() - OPTIONS):
            yield checks.Warning(f'{name} has no option "{unknown}".', id="jobsite_client.W001")
