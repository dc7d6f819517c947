"""Send reports by single calls: for a server without exchanges, and to find the report that makes one fail."""

import logging
from collections.abc import Callable

from .api import Client
from .endings import RESTART, Ending, ending_for
from .errors import JobsiteError, LeaseLost, Unavailable
from .messages import Completed, Failed, Released
from .outbox import Report
from .pulse import DueHeartbeat, Pulse
from .results import Results
from .wire import ERROR_LIMIT, tidy

log = logging.getLogger("jobsite_client")


class Singly:
    """Sends reports and heartbeats one by one, so that each succeeds or fails alone.

    Both methods try once. They raise `Unavailable` if the server did not answer, and handle all other errors.
    """

    def __init__(self, client: Client, pulse: Pulse, results: Results, on_ending: Callable[[Ending], None]) -> None:
        self._client = client
        self._pulse = pulse
        self._results = results
        self._on_ending = on_ending

    def report(self, report: Report) -> None:
        """Report how a job ended. If the server refuses the result, the job fails with the server's reason."""
        try:
            if isinstance(report.content, Completed):
                self._complete(report, report.content)
            if isinstance(report.content, Released):
                self._release(report, report.content)
            if isinstance(report.content, Failed):
                self._fail(report, report.content)
        except LeaseLost as error:
            report.too_late(error)

    def _complete(self, report: Report, content: Completed) -> None:
        try:
            self._client.complete(content.id, content.attempt, content.result, retry_for=0)
        except (LeaseLost, Unavailable):
            raise
        except JobsiteError as error:
            if not self._is_ending(error, report):
                log.error("%s: the server refused the result: %s", report.job, error.detail)
                retry = error.status is None or error.status >= 500
                report.content = self._refused(report, content, error.detail, retry=retry)
        except ValueError as error:
            # The handler's code changed the result after returning it.
            report.content = self._refused(report, content, str(error), retry=False)
        else:
            report.held()

    def _refused(self, report: Report, content: Completed, why: str, *, retry: bool) -> Failed:
        """The failure to report instead of a result that the server refused. The result is kept in a file."""
        why = f"The server refused the result: {why.removesuffix('.')}."
        if not retry:
            why = f"{why} {self._results.keep_in_file(report.job, content.result)}"
        return Failed(content.id, content.attempt, tidy(why, ERROR_LIMIT), retry)

    def _release(self, report: Report, content: Released) -> None:
        try:
            self._client.release(
                content.id, content.attempt, run_in=content.run_in, reason=content.reason or None, retry_for=0
            )
        except (LeaseLost, Unavailable):
            raise
        except JobsiteError as error:
            if not self._is_ending(error, report):
                # It was deferred too often, or an older server does not know that.
                report.fail_instead(error.detail)
        else:
            report.held()

    def _fail(self, report: Report, content: Failed) -> None:
        try:
            self._client.fail(
                content.id, content.attempt, content.error, retry=content.retry, retry_in=content.retry_in, retry_for=0
            )
        except (LeaseLost, Unavailable):
            raise
        except JobsiteError as error:
            if not self._is_ending(error, report):
                log.error("%s: the server refused the failure's report: %s", report.job, error.detail)

    def heartbeat(self, heartbeat: DueHeartbeat) -> None:
        """Renew one lease."""
        message = heartbeat.message
        try:
            reply = self._client.heartbeat(message.id, message.attempt, progress=message.progress, note=message.note)
        except Unavailable:
            raise
        except JobsiteError as error:
            ending = ending_for(error, self._client.instance)
            if ending:
                self._on_ending(ending)
            else:
                self._pulse.refused(heartbeat, error)
        else:
            self._pulse.held(heartbeat, reply.deadline_at, reply.lease_for)
            if reply.restart:
                self._on_ending(RESTART)

    def _is_ending(self, error: JobsiteError, report: Report) -> bool:
        """Whether this error ends the whole bot. If so, log it and call `on_ending`."""
        ending = ending_for(error, self._client.instance)
        if ending:
            self._on_ending(ending)
            report.undelivered(error.detail)
        return ending is not None
