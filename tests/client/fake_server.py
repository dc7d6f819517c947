"""A small real HTTP server that plays Jobsite's part: it hands out what a test puts in, and remembers every call."""

import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DEADLINE = 20.0


class _Listener(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up, or are killed, are what these tests are about: no traceback for that."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


@dataclass
class Call:
    path: str
    body: Any
    headers: dict[str, str]


@dataclass
class Answer:
    """What to say. `drop` closes the connection without a word instead; `after` holds the answer until then."""

    body: Any = field(default_factory=dict)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    after: threading.Event | None = None


def refusal(status: int, code: str, detail: str = "No.", **more: Any) -> Answer:
    """A problem in the form the server gives it."""
    body = {"type": "about:blank", "title": code, "status": status, "detail": detail, "code": code, **more}
    return Answer(body, status, {"Content-Type": "application/problem+json"})


def lease_lost(**more: Any) -> Answer:
    ended = {
        "ended_by": "operator alice",
        "ended_at": "2030-01-02T03:04:05Z",
        "reason": "it was stuck",
        "cancel": False,
    }
    return refusal(409, "lease_lost", "This lease has ended.", **{**ended, **more})


class FakeServer:
    """`answers[path]` is a list of answers for the next calls of that path; after those, everything goes well.

    The last of a path's answers stays if `sticky` names the path.
    """

    def __init__(self, port: int = 0) -> None:
        self.calls: list[Call] = []
        self.answers: dict[str, list[Answer]] = {}
        self.sticky: set[str] = set()
        self.pending: list[dict[str, Any]] = []
        self.paused = False
        self.restart = False
        self.lease_seconds = 60.0
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self._changed = threading.Condition()
        self._next_id = 0
        self._http = _Listener(("127.0.0.1", port), self._handler())
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def add_job(self, kind: str, payload: Any = None) -> int:
        """Put a job where the next claim finds it; returns its id."""
        with self._changed:
            self._next_id += 1
            self.pending.append({"id": self._next_id, "kind": kind, "attempt": 1, "payload": payload, "priority": 0})
            return self._next_id

    def of(self, path: str) -> list[Call]:
        """The calls of this path so far, in order."""
        with self._changed:
            return [call for call in self.calls if call.path == path]

    def wait_for(self, path: str, times: int = 1, where: Callable[[Call], bool] = lambda call: True) -> list[Call]:
        """Wait until this path was called this often; fails the test if that does not happen in good time."""

        def found() -> list[Call]:
            return [call for call in self.calls if call.path == path and where(call)]

        with self._changed:
            happened = self._changed.wait_for(lambda: len(found()) >= times, timeout=DEADLINE)
            assert happened, f"{path} was called {len(found())} times, not {times}: {[c.path for c in self.calls]}"
            return found()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that is not a call; fails the test if it does not come about in good time."""
        with self._changed:
            until = time.monotonic() + DEADLINE
            while not condition():
                assert time.monotonic() < until, "it did not come about"
                self._changed.wait(0.01)

    def reply(self, call: Call) -> Answer:
        with self._changed:
            self.calls.append(call)
            self._changed.notify_all()
            planned = self.answers.get(call.path)
            if planned:
                return planned[0] if call.path in self.sticky and len(planned) == 1 else planned.pop(0)
            return Answer(self._ordinary(call))

    def _ordinary(self, call: Call) -> Any:
        deadline = (datetime.now(UTC) + timedelta(seconds=self.lease_seconds)).isoformat()
        orders = {"paused": self.paused, "restart": self.restart}
        if call.path == "claim":
            limit = call.body["limit"]
            jobs, self.pending = self.pending[:limit], self.pending[limit:]
            return {"jobs": [{**job, "deadline_at": deadline} for job in jobs], **orders}
        if call.path.startswith("jobs/") and call.path.endswith("/heartbeat"):
            return {"cancel": False, "deadline_at": deadline, "restart": self.restart}
        return {"status": "ok", **orders}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body are two packets, and the second must not wait for the first one's acknowledgement.
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                data = self.rfile.read(length)
                path = self.path.removeprefix("/api/v1/")
                answer = server.reply(Call(path, json.loads(data) if data else None, dict(self.headers)))
                if answer.after:
                    answer.after.wait(DEADLINE)
                if answer.drop:
                    self.close_connection = True
                    return
                content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                self.send_response_only(answer.status)
                self.send_header("Date", format_datetime(server.clock(), usegmt=True))
                for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST

            def log_message(self, *args: Any) -> None:
                pass

        return Handler
