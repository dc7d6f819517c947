"""HTTP calls: connection, retries, and errors as exceptions."""

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx

from .backoff import Backoff
from .errors import JobsiteError, Unavailable, problem
from .logs import own_call
from .request import Reply, Request, Steps, compressed
from .wire import decode

T = TypeVar("T")
Own = TypeVar("Own", bound="Transport")

# The server did nothing with the request, unless the code of its problem is this.
_NOT_DONE = {408, 429, 503}
_UNKNOWN = "outcome_unknown"
# From a gateway: the server behind it may have carried out the request.
_MAYBE_DONE = {502, 504}
# The request never left this machine.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_LOCAL = {"localhost", "127.0.0.1", "::1"}


class Connection:
    """What sync and async calls of the API at `url` with `token` have in common.

    `timeout` is seconds for one try, `retry_for` seconds for all tries of one call together (0: one try only).
    Connection errors, timeouts and the statuses 408, 429, 502, 503 and 504 are tried again, with exponential backoff
    and jitter, and never earlier than a `Retry-After` header asks for.
    """

    def __init__(self, url: str, token: str, instance: str | None, timeout: float, retry_for: float) -> None:
        base = httpx.URL(url.strip().rstrip("/").removesuffix("/api/v1"))
        if base.scheme not in ("http", "https") or not base.host:
            raise ValueError(f"The server's address must look like https://jobsite.example, not {url!r}.")
        token = token.strip()
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise ValueError("The token is empty or has characters that no token has; was it copied whole?")
        self.instance = instance
        self._timeout = timeout
        self._retry_for = retry_for
        self._server_ahead = timedelta(0)
        self._settings: dict[str, Any] = {
            "base_url": base.copy_with(path=base.path.rstrip("/") + "/api/v1/"),
            "headers": {"Authorization": f"Bearer {token}", "Accept": "application/json"},
            "limits": httpx.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=15),
            # A proxy from the environment is for other hosts, never for this machine.
            "trust_env": base.host not in _LOCAL,
        }

    def server_now(self) -> datetime:
        """The time by the server's clock (UTC), estimated from its answers. Deadlines are in its time."""
        return datetime.now(timezone.utc) + self._server_ahead

    def _tries(self, request: Request[Any]) -> "Tries":
        return Tries(self._retry_for if request.retry_for is None else request.retry_for, repeatable=request.repeatable)

    def _arguments(self, request: Request[Any], instance: str | None) -> dict[str, Any]:
        headers = request.headers() | ({"Bot-Instance": instance} if instance else {})
        timeout = (request.timeout or self._timeout) + request.wait
        return {"params": request.params or None, "headers": headers, "timeout": timeout}

    def _reply(self, response: httpx.Response, instance: str | None) -> Reply:
        self._note_clock(response)
        return Reply(self._read(response, instance), _retry_after(response))

    def _read(self, response: httpx.Response, instance: str | None) -> Any:
        status = response.status_code
        if status in _NOT_DONE or status in _MAYBE_DONE:
            raise _unavailable(response)
        if response.is_redirect:
            where = response.headers.get("Location", "another address")
            raise JobsiteError(f"The server redirects to {where}: use that address.", status=status, code="redirect")
        try:
            body = decode(response.content) if response.content else None
        except ValueError:
            if response.is_success:
                raise JobsiteError("The answer is not JSON; is this a Jobsite server?", status=status) from None
            body = None
        if not response.is_success:
            raise problem(status, body, instance=instance)
        return body

    def _note_clock(self, response: httpx.Response) -> None:
        try:
            server = parsedate_to_datetime(response.headers["Date"]) + timedelta(seconds=0.5)
        except (KeyError, ValueError, TypeError):
            return
        if server.tzinfo is None:
            return
        ahead = server - datetime.now(timezone.utc)
        # The header counts whole seconds: a smaller difference is no difference.
        self._server_ahead = ahead if abs(ahead) > timedelta(seconds=2) else timedelta(0)


class Tries:
    """How long to wait before a call is tried again."""

    def __init__(self, retry_for: float, *, repeatable: bool) -> None:
        self._give_up_at = time.monotonic() + retry_for
        self._repeatable = repeatable
        self._backoff = Backoff(first=0.1, longest=10.0, chance=random.random)

    def delay(self, error: Unavailable) -> float | None:
        """Seconds to wait after this error; None: it is final."""
        if error.maybe_done and not self._repeatable:
            return None
        delay = max(self._backoff.next(), error.retry_after or 0.0)
        return None if time.monotonic() + delay > self._give_up_at else delay


class Transport(Connection):
    """Calls the API at `url` with `token`; safe to share between threads. All calls go through `run`."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        instance: str | None = None,
        timeout: float = 10.0,
        retry_for: float = 60.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__(url, token, instance, timeout, retry_for)
        self._http = httpx.Client(**self._settings, transport=transport)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self: Own) -> Own:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def run(self, call: Request[T] | Steps[T]) -> T:
        """Make one call of the API, and return its answer.

        Raises `Unavailable` when no try got an answer, another `JobsiteError` when the server refused, ValueError when
        the body cannot be sent as JSON.
        """
        return self.send(call) if isinstance(call, Request) else self._follow(call)

    def send(self, request: Request[T]) -> T:
        """Send one request, and repeat it as its policy says."""
        content, tries = request.content(), self._tries(request)
        while True:
            try:
                return request.read(self._once(request, content))
            except Unavailable as error:
                delay = tries.delay(error)
                if delay is None:
                    raise
            self._sleep(delay)

    def _once(self, request: Request[Any], content: bytes | None) -> Reply:
        instance = self.instance
        body = content if request.lines is None else compressed(request.lines)
        with network_errors():
            response = self._http.request(
                request.method, request.path, content=body, **self._arguments(request, instance)
            )
        return self._reply(response, instance)

    def _follow(self, steps: Steps[T]) -> T:
        try:
            step = next(steps)
            while True:
                if isinstance(step, Request):
                    step = steps.send(self.send(step))
                else:
                    self._sleep(step)
                    step = next(steps)
        except StopIteration as end:
            result: T = end.value
            return result

    def _sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@contextmanager
def network_errors() -> Iterator[None]:
    """Raise what the network did as `Unavailable`, and have httpx log nothing."""
    try:
        with own_call():
            yield
    except _NOT_SENT as error:
        raise Unavailable(f"The server could not be reached: {_say(error)}.", maybe_done=False) from error
    except httpx.RequestError as error:
        raise Unavailable(f"The server's answer did not arrive: {_say(error)}.", maybe_done=True) from error


def _unavailable(response: httpx.Response) -> Unavailable:
    status = response.status_code
    try:
        body = decode(response.content)
    except ValueError:
        body = None
    fields: Mapping[str, Any] = body if isinstance(body, dict) else {}
    code = str(fields.get("code") or "unavailable")
    detail = f"The server is not available just now ({status} {response.reason_phrase})."
    return Unavailable(
        f"{detail} {fields['detail']}" if fields.get("detail") else detail,
        status=status,
        code=code,
        maybe_done=status in _MAYBE_DONE or code == _UNKNOWN,
        retry_after=_retry_after(response),
    )


def _retry_after(response: httpx.Response) -> float | None:
    """`Retry-After` in seconds, in either of its two forms; None when there is none or it is nonsense."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max((parsedate_to_datetime(value) - datetime.now(timezone.utc)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None


def _say(error: httpx.RequestError) -> str:
    return str(error).strip().rstrip(".") or type(error).__name__
