"""All exceptions. Pure: depends on the shape of an answer, not on the network."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any


class JobsiteError(Exception):
    """The server refused a call, or did not answer it.

    `status` is the HTTP status (None when there was no answer), `code` the server's code for the problem
    (`lease_lost`, `unauthorized` …), `detail` a sentence for people, `body` the whole problem as it came.
    """

    def __init__(
        self, detail: str, *, status: int | None = None, code: str = "", body: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.code = code
        self.body: Mapping[str, Any] = body or {}


class Unavailable(JobsiteError):
    """No usable answer: the connection failed or timed out, or the server was busy, for as long as we tried.

    `maybe_done` says whether the call may have been carried out all the same: the request was sent and only its answer
    is missing, or the server itself does not know (`outcome_unknown`). When False, nothing happened. `retry_after` is
    the wait the server asked for, in seconds, if it named one.
    """

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        code: str = "unavailable",
        maybe_done: bool,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail, status=status, code=code)
        self.maybe_done = maybe_done
        self.retry_after = retry_after


class Unauthorized(JobsiteError):
    """The token is wrong, or it was revoked (401)."""


class InstanceReplaced(JobsiteError):
    """Another process of the same bot has called hello since and took over (409 `instance_replaced`).

    `instance` is the instance name this call was made under.
    """

    instance: str | None = None


class LeaseLost(JobsiteError):
    """The job is no longer this bot's: it was released, expired or cancelled (409 `lease_lost`).

    `ended_by` says who ended the lease, `ended_at` when, `reason` why; `cancel` is True when an operator
    cancelled the job, so that nobody wants its result any more.
    """

    @property
    def ended_by(self) -> str | None:
        value = self.body.get("ended_by")
        return None if value is None else str(value)

    @property
    def ended_at(self) -> datetime | None:
        return parse_time(self.body.get("ended_at"))

    @property
    def reason(self) -> str:
        return str(self.body.get("reason") or "")

    @property
    def cancel(self) -> bool:
        return self.body.get("cancel") is True

    def explain(self) -> str:
        """Who ended the lease, when and why, as one sentence part: "ended by sweep at 12:03:04 UTC: silent"."""
        if not (self.ended_by or self.ended_at or self.reason):
            return self.detail
        words = "cancelled" if self.cancel else "ended"
        if self.ended_by:
            words += f" by {self.ended_by}"
        if self.ended_at:
            words += f" at {self.ended_at:%H:%M:%S} UTC"
        return f"{words}: {self.reason}" if self.reason else words


class GiveUp(Exception):
    """Raised by a handler: this job can never succeed, so it fails at once, without further attempts."""


class PayloadError(GiveUp):
    """The payload does not fit the type that the handler names: its fields, each with what is wrong with it."""


class RetryLater(Exception):
    """Raised by a handler: the attempt failed, and the next one is to begin in `seconds`, not after the kind's backoff.

    The attempt counts. To wait without that, use `Job.defer`.
    """

    def __init__(self, seconds: float, message: str = "") -> None:
        super().__init__(seconds, message)
        self.seconds = float(seconds)
        self.message = message

    def __str__(self) -> str:
        return self.message or f"Try again in {self.seconds:g} s."


class Deferred(Exception):
    """Raised by `Job.defer()`: the lease ends, and the job is due again later. The attempt does not count."""

    def __init__(self, seconds: float, reason: str = "") -> None:
        super().__init__(seconds, reason)
        self.seconds = float(seconds)
        self.reason = reason


class HandlerFailed(Exception):
    """A handler failed in a process of its own: its traceback there, or how the process ended.

    `retry_in`: in how many seconds it wants the next attempt.
    """

    def __init__(self, error: str, retry_in: float | None = None) -> None:
        super().__init__(error)
        self.retry_in = retry_in


class Cancelled(Exception):
    """Raised by `Job.check()`: the lease is gone, the handler should stop. Nothing is reported."""


def parse_time(value: object) -> datetime | None:
    """An ISO 8601 time as the server writes it, or None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        # Python 3.10 reads no Z.
        return datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None


def problem(status: int, body: object, *, instance: str | None = None) -> JobsiteError:
    """The exception for an answer with a 4xx or 5xx status. `body` is its decoded JSON, or its text if it is none."""
    fields: Mapping[str, Any] = body if isinstance(body, dict) else {}
    code = str(fields.get("code") or "")
    detail = str(fields.get("detail") or fields.get("title") or f"The server answered {status}.")
    if status == 401:
        return Unauthorized(detail, status=status, code=code or "unauthorized", body=fields)
    if status == 409 and code == "lease_lost":
        return LeaseLost(detail, status=status, code=code, body=fields)
    if status == 409 and code == "instance_replaced":
        replaced = InstanceReplaced(detail, status=status, code=code, body=fields)
        replaced.instance = instance
        return replaced
    return JobsiteError(detail, status=status, code=code, body=fields)
