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

from .exchange_rules import SORTS, faults

DEADLINE = 20.0
# Bytes of a body.
MOST_BODY = 2 * 1024 * 1024


class _Listener(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up, or are killed, are what these tests are about: no traceback for that."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


@dataclass
class Call:
    """A call. What is said within an exchange is remembered twice: as the exchange, and as the single call it is."""

    path: str
    body: Any
    headers: dict[str, str]
    size: int = 0


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

    The last of a path's answers stays if `sticky` names the path. An exchange follows the answers planned for the
    single calls it stands for: a lost lease rejects that report, and what is said of anything else (a refusal, a
    busy server, a broken connection) is said of the whole exchange.

    `exchanges` False is a server of old: it knows no exchange and holds no claim open. `waiters` is how many claims
    it holds open at most.
    """

    def __init__(self, port: int = 0, *, exchanges: bool = True) -> None:
        self.calls: list[Call] = []
        self.answers: dict[str, list[Answer]] = {}
        self.sticky: set[str] = set()
        self.pending: list[dict[str, Any]] = []
        self.paused = False
        self.restart = False
        self.lease_seconds = 60.0
        self.waiters = 100 if exchanges else 0
        self.waiting = 0
        #: The instance of each identity, the identity of each, and those that have said goodbye.
        self.current: dict[str, str] = {}
        self.known: dict[str, str] = {}
        self.gone: set[str] = set()
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self._exchanges = exchanges
        self._stopping = False
        self._changed = threading.Condition()
        self._next_id = 0
        self._http = _Listener(("127.0.0.1", port), self._handler())
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._http.shutdown()
        self._http.server_close()

    def add_job(self, kind: str, payload: Any = None) -> int:
        """Put a job where the next claim finds it; returns its id."""
        with self._changed:
            self._next_id += 1
            self.pending.append({"id": self._next_id, "kind": kind, "attempt": 1, "payload": payload, "priority": 0})
            self._changed.notify_all()
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
            self._hear(call)
            planned = self._planned(call.path)
            if planned:
                return planned
            if call.path == "exchange":
                return self._exchange(call)
            if call.path == "claim":
                return self._claim(call)
            if call.path == "goodbye" and not self.takes_goodbye:
                return refusal(404, "not_found", "There is nothing here.")
            return Answer(self._ordinary(call))

    def _hear(self, call: Call) -> None:
        self.calls.append(call)
        self._changed.notify_all()

    def _planned(self, path: str) -> Answer | None:
        planned = self.answers.get(path)
        if not planned:
            return None
        return planned[0] if path in self.sticky and len(planned) == 1 else planned.pop(0)

    def _ordinary(self, call: Call) -> Any:
        if call.path.startswith("jobs/") and call.path.endswith("/heartbeat"):
            return {"cancel": False, "deadline_at": self._deadline(), "restart": self.restart}
        if call.path == "hello":
            self.current[call.body.get("identity", "")] = call.body["instance"]
            self.known[call.body["instance"]] = call.body.get("identity", "")
        if call.path == "goodbye":
            self.gone.add(call.body["instance"])
            self._changed.notify_all()
        return {"status": "ok", "paused": self.paused, "restart": self.restart}

    def _deadline(self) -> str:
        return (datetime.now(UTC) + timedelta(seconds=self.lease_seconds)).isoformat()

    # --- Claims ---------------------------------------------------------------------------------------------------

    def _claim(self, call: Call) -> Answer:
        """Claim; held open for `wait` seconds at most, while there is nothing and room for one more that waits."""
        until = time.monotonic() + call.body.get("wait", 0)
        busy = call.body.get("wait") and self.waiting >= self.waiters and self._exchanges
        self.waiting += 1
        while True:
            # A newer process may have come meanwhile.
            if self._replaced(call):
                break
            kinds = call.body.get("kinds")
            jobs = [job for job in self.pending if kinds is None or job["kind"] in kinds]
            left = until - time.monotonic()
            if jobs or busy or self.paused or left <= 0 or self._stopping or not self._exchanges:
                break
            self._changed.wait(left)
        self.waiting -= 1
        self._changed.notify_all()
        if self._replaced(call):
            return refusal(409, "instance_replaced")
        jobs = [] if self.paused else jobs[: call.body.get("limit", 1)]
        self.pending = [job for job in self.pending if job not in jobs]
        answer = {"jobs": [{**job, "deadline_at": self._deadline()} for job in jobs]}
        answer |= {"paused": self.paused, "restart": self.restart}
        return Answer(answer, headers={"Retry-After": "1"} if busy and not jobs else {})

    def _replaced(self, call: Call) -> bool:
        instance = call.headers.get("Bot-Instance", "")
        newest = self.current.get(self.known.get(instance, ""), instance)
        return instance in self.gone or (bool(instance) and newest != instance)

    # --- Exchanges ------------------------------------------------------------------------------------------------

    def _exchange(self, call: Call) -> Answer:
        if not self._exchanges:
            return refusal(404, "not_found", "There is nothing here.")
        if call.size > MOST_BODY:
            return refusal(413, "too_large")
        if wrong := faults(call.body):
            return refusal(422, "invalid", "; ".join(wrong))
        said = []
        for sort, (verb, _) in SORTS.items():
            for report in call.body.get(sort, ()):
                single = {name: value for name, value in report.items() if name != "id"}
                said.append((report, Call(f"jobs/{report['id']}/{verb}", single, call.headers)))
        claim = Call("claim", call.body["claim"], call.headers) if "claim" in call.body else None
        for one in [single for _, single in said] + ([claim] if claim else []):
            self._hear(one)
        for one in [single for _, single in said] + ([claim] if claim else []):
            if (planned := (self.answers.get(one.path) or [None])[0]) and not self._is_about_one(planned):
                # A report that is no good stays so: the single call will be told the same.
                return planned if planned.status == 422 else self._planned(one.path) or planned
        told = self._answer_to(said)
        if claim is None:
            return Answer(told | {"jobs": [], "paused": self.paused, "restart": told["restart"] or self.restart})
        claimed = self._planned("claim") or self._claim(claim)
        if claimed.status != 200:
            return claimed
        restart = told["restart"] or claimed.body["restart"]
        return Answer(told | claimed.body | {"restart": restart}, headers=claimed.headers)

    @property
    def takes_goodbye(self) -> bool:
        """Whether it knows that call: a server of old does not."""
        return self._exchanges

    @staticmethod
    def _is_about_one(planned: Answer) -> bool:
        """Whether this is said of one report, and not of the whole exchange."""
        if planned.drop or planned.after:
            return False
        return planned.status == 200 or planned.body.get("code") in ("lease_lost", "not_found", "too_many_deferrals")

    def _answer_to(self, said: list[tuple[Any, Call]]) -> dict[str, Any]:
        told: dict[str, Any] = {"accepted": [], "rejected": [], "cancel": [], "restart": False}
        for report, single in said:
            answer = self._planned(single.path) or Answer()
            if answer.status == 200:
                told["accepted"].append(report["id"])
                told["restart"] = told["restart"] or answer.body.get("restart", False)
            else:
                fields = {name: value for name, value in answer.body.items() if name not in ("type", "title", "status")}
                told["rejected"].append({"id": report["id"], "attempt": report["attempt"], **fields})
                if answer.body.get("cancel"):
                    told["cancel"].append(report["id"])
        return told

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
                body = json.loads(data) if data else None
                answer = server.reply(Call(path, body, dict(self.headers), len(data)))
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

            do_GET = do_PUT = do_DELETE = do_POST

            def log_message(self, *args: Any) -> None:
                pass

        return Handler
