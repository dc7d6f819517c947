"""In how many seconds a service wants to be asked again, by the HTTP error that a handler lets through."""

import time
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any

from .errors import HandlerFailed, RetryLater

# The longest time that the server takes.
LONGEST = 365 * 86400.0


def retry_in(error: BaseException) -> float | None:
    """Seconds until the next attempt: as `RetryLater` says, or the `Retry-After` of an HTTP error; None: no wish.

    Of `httpx.HTTPStatusError` and its like in other libraries, which have a `response`, and of urllib's `HTTPError`.
    """
    if isinstance(error, RetryLater):
        return min(max(error.seconds, 0.0), LONGEST)
    if isinstance(error, HandlerFailed):
        return error.retry_in
    headers: Any = getattr(getattr(error, "response", None), "headers", None) or getattr(error, "headers", None)
    value = headers.get("Retry-After") if hasattr(headers, "get") else None
    seconds = _seconds(value.strip()) if isinstance(value, str) else None
    return None if seconds is None else min(max(seconds, 0.0), LONGEST)


def _seconds(value: str) -> float | None:
    """A number of seconds, or a date."""
    if value.isascii() and value.isdigit():
        return float(value[:12])
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=timezone.utc)).timestamp() - time.time()
