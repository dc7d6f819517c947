"""The same reports by the single calls: for a server that knows no exchange, and to find the one that is no good."""

import logging
from collections.abc import Callable

from .api import Client
from .endings import RESTART, Ending, ending_for
from .errors import JobsiteError, LeaseLost, Unavailable
from .messages import Completed, Failed
from .outbox import Report
from .pulse import Beat, Pulse
from .wire import ERROR_LIMIT, tidy

log = logging.getLogger("jobsite_client")


class Singly:
    """Says reports and heartbeats one by one, so that each stands or falls alone.

    Both methods try once and raise `Unavailable` when the server was not there; everything else is the end of it.
    """

    def __init__(self, client: Client, pulse: Pulse, tell: Callable[[Ending], None]) -> None:
        self._client = client
        self._pulse = pulse
        self._tell = tell

    def report(self, report: Report) -> None:
        """Say how a job ended. A result the server refuses fails its job, with the server's reason."""
        try:
            if isinstance(report.said, Completed):
                self._complete(report, report.said)
            if isinstance(report.said, Failed):
                self._fail(report, report.said)
        except LeaseLost as error:
            report.too_late(error)

    def _complete(self, report: Report, said: Completed) -> None:
        try:
            self._client.complete(said.id, said.attempt, said.result, retry_for=0)
        except (LeaseLost, Unavailable):
            raise
        except JobsiteError as error:
            if not self._is_ending(error, report):
                log.error("%s: the server refused the result: %s", report.job, error.detail)
                again = error.status is None or error.status >= 500
                report.said = refused_result(said, error.detail, retry=again)
        except ValueError as error:
            # It was fit to be sent when the handler returned it, and was changed since.
            report.said = refused_result(said, str(error), retry=False)
        else:
            report.held()

    def _fail(self, report: Report, said: Failed) -> None:
        try:
            self._client.fail(said.id, said.attempt, said.error, retry=said.retry, retry_for=0)
        except (LeaseLost, Unavailable):
            raise
        except JobsiteError as error:
            if not self._is_ending(error, report):
                log.error("%s: the server refused the failure's report: %s", report.job, error.detail)

    def beat(self, beat: Beat) -> None:
        """Renew one lease."""
        said = beat.said
        try:
            reply = self._client.heartbeat(said.id, said.attempt, progress=said.progress, note=said.note)
        except Unavailable:
            raise
        except JobsiteError as error:
            ending = ending_for(error, self._client.instance)
            if ending:
                self._tell(ending)
            else:
                self._pulse.refused(beat, error)
        else:
            self._pulse.held(beat, reply.deadline_at)
            if reply.restart:
                self._tell(RESTART)

    def _is_ending(self, error: JobsiteError, report: Report) -> bool:
        """Whether this error means that no report can be made at all; if so, it is logged and told."""
        ending = ending_for(error, self._client.instance)
        if ending:
            self._tell(ending)
            report.undelivered(error.detail)
        return ending is not None


def refused_result(said: Completed, why: str, *, retry: bool) -> Failed:
    """What is reported in place of a result that the server does not take."""
    return Failed(said.id, said.attempt, tidy(f"The server refused the result: {why}", ERROR_LIMIT), retry)
