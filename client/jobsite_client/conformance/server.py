"""The HTTP server that a bot is checked against: the queue's rules, and the misbehaviour that a scenario plans."""

import json
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from http.server import ThreadingHTTPServer
from typing import Any, TypeVar

from .bodies import BODIES, SORTS, faults
from .calls import Call
from .listening import Listener, handler_for
from .misbehaviour import Misbehaviour
from .queue import Job, Queue, Refused

Own = TypeVar("Own", bound="Server")
JOB_CALL = re.compile(r"jobs/(\d{1,18})/(start|heartbeat|complete|fail|release)\Z")
TITLES = {
    "bad_request": "The request cannot be read",
    "unauthorized": "A valid token is needed",
    "not_found": "Not found",
    "method_not_allowed": "Method not allowed",
    "lease_lost": "The lease is no longer yours",
    "instance_replaced": "A newer process of this bot has taken over",
    "invalid": "A field is not valid",
    "too_many_requests": "Too many requests",
    "unavailable": "The server cannot answer just now",
    "outcome_unknown": "It is not known whether this was done",
}
# A field that no bot knows: a later server may have more fields, and a bot must ignore them.
NEW_FIELD = {"a_field_of_a_later_server": {"n": 1}}


class Server:
    """Answers a bot's calls at `url`, and remembers them in `calls`. Start it with `with`."""

    def __init__(self) -> None:
        self.token = "jsb_" + secrets.token_urlsafe(24)
        self.calls: list[Call] = []
        self.plans = Misbehaviour()
        self.revoked = False
        # How far its clock is ahead of this machine's.
        self.ahead = timedelta(0)
        # Seconds by which the answer to a long poll comes late.
        self.late_by = 0.0
        self.changed = threading.Condition()
        self._began = time.monotonic()
        self.queue = Queue(self.now)
        self._down_until = 0.0
        self._connections: set[socket.socket] = set()
        self._http: ThreadingHTTPServer = Listener(("127.0.0.1", 0), handler_for(self))
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self: Own) -> Own:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.go_down(3600)
        self._http.shutdown()
        self._http.server_close()

    def now(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    # --- For scenarios --------------------------------------------------------------------------------------------

    def add(self, kind: str, payload: Any) -> Job:
        """Enqueue a job."""
        with self.changed:
            job = self.queue.add(kind, payload)
            self.changed.notify_all()
            return job

    def do(self, change: Callable[[Queue], object]) -> None:
        """Change the queue, and wake the calls that wait."""
        with self.changed:
            change(self.queue)
            self.changed.notify_all()

    def wait(self, seconds: float, condition: Callable[[], bool]) -> bool:
        """Wait for a condition about the queue and the calls. Returns whether it came true."""
        until = time.monotonic() + seconds
        with self.changed:
            while not condition():
                left = until - time.monotonic()
                if left <= 0:
                    return False
                self.queue.expire()
                self.changed.wait(min(left, 0.05))
            return True

    def go_down(self, seconds: float) -> None:
        """Drop all connections, and refuse new ones for so long, as a server that restarts."""
        with self.changed:
            self._down_until = self.now() + seconds
            connections = list(self._connections)
            self.changed.notify_all()
        for connection in connections:
            _hang_up(connection)

    # --- For the listener -----------------------------------------------------------------------------------------

    def connected(self, connection: socket.socket) -> bool:
        """Note a new connection. False: the server is down."""
        with self.changed:
            if self.is_down:
                self.calls.append(Call(self.now(), "connection"))
                return False
            self._connections.add(connection)
            return True

    def disconnected(self, connection: socket.socket) -> None:
        """Note that a connection has ended."""
        with self.changed:
            self._connections.discard(connection)

    @property
    def is_down(self) -> bool:
        return self.now() < self._down_until

    def date(self) -> str:
        """The header `Date`."""
        return format_datetime(datetime.now(timezone.utc) + self.ahead, usegmt=True)

    def answer(self, method: str, path: str, headers: dict[str, str], data: bytes) -> tuple[Call, dict[str, str]]:
        """Answer a call. Returns it, and the headers of the answer. Its status is None to close the connection."""
        call = Call(self.now(), path.removeprefix("/api/v1/").rstrip("/"), headers=headers)
        with self.changed:
            self.calls.append(call)
            self.queue.expire()
            try:
                call.body = _decoded(data)
                plan = self.plans.take(call, carried_out=False)
                if plan is None:
                    call.answer = self._carry_out(method, path, call)
                    call.status = 200
                    plan = self.plans.take(call, carried_out=True)
                if plan is not None:
                    call.planned = True
                    plan.change(call, self._problem)
            except Refused as refused:
                self._problem(call, refused)
            if self.is_down:
                call.status = None
            call.answered_at = self.now()
            self.changed.notify_all()
        return call, {} if call.retry_after is None else {"Retry-After": f"{call.retry_after:g}"}

    def _problem(self, call: Call, refused: Refused) -> None:
        code = refused.code
        head = {"type": f"/api/v1/docs#{code}", "title": TITLES[code], "status": refused.status}
        call.answer = head | {"detail": refused.detail, "code": code} | refused.facts
        if refused.status in (409, 422):
            call.answer |= self.queue.orders(call.instance)
        if isinstance(ended := call.answer.get("ended_at"), float):
            call.answer["ended_at"] = self._moment(ended)
        call.status = refused.status

    # --- Calls ----------------------------------------------------------------------------------------------------

    def _carry_out(self, method: str, path: str, call: Call) -> dict[str, Any]:
        named = JOB_CALL.match(call.sort)
        name = f"job {named[2]}" if named else call.sort
        if not path.startswith("/api/v1/") or name not in BODIES:
            raise Refused(404, "not_found", f"There is nothing at {path}.")
        if method != "POST":
            raise Refused(405, "method_not_allowed", f"{method} is not possible here.")
        if self.revoked or call.headers.get("authorization") != f"Bearer {self.token}":
            raise Refused(401, "unauthorized", "This token is unknown or was revoked.")
        if call.body is None:
            call.body = {}
        if wrong := faults(name, call.body):
            errors = [{"field": field, "message": message} for field, message in wrong]
            raise Refused(422, "invalid", "; ".join(f"{field}: {message}" for field, message in wrong), errors=errors)
        if named:
            return self._report(call, int(named[1]), named[2]) | NEW_FIELD
        calls = {"hello": self._hello, "goodbye": self._goodbye, "heartbeat": self._heartbeat, "claim": self._claim}
        calls |= {"exchange": self._exchange, "throttle": self._throttle}
        return calls[name](call) | NEW_FIELD

    def _hello(self, call: Call) -> dict[str, Any]:
        return self.queue.hello(call.body, call.instance)

    def _goodbye(self, call: Call) -> dict[str, Any]:
        return self.queue.goodbye(call.body["instance"])

    def _heartbeat(self, call: Call) -> dict[str, Any]:
        self.queue.check_instance(call.instance)
        return self.queue.orders(call.instance) | self.queue.lost(call.body.get("holds") or ())

    def _throttle(self, call: Call) -> dict[str, Any]:
        # Taken, and without effect: the jobs of the scenarios need no service.
        about = {"kind": call.body["kind"], "group": call.body.get("group")}
        until = {"shut_until": self._moment(self.now() + call.body["for"])}
        return about | until | self.queue.orders(call.instance)

    def _report(self, call: Call, job_id: int, verb: str) -> dict[str, Any]:
        job = self.queue.report(verb, job_id, call.body["attempt"], call.body)
        lease = {"job_id": job_id, "attempt": call.body["attempt"], **self.queue.orders(call.instance)}
        if verb in ("start", "heartbeat"):
            return lease | {"status": job.status, "cancel": False, **self._until(job)}
        deferred = call.body.get("run_in") is not None
        past = {"complete": "succeeded", "fail": "failed", "release": "deferred" if deferred else "released"}
        return lease | {"status": past[verb]}

    def _until(self, job: Job) -> dict[str, Any]:
        """Until when the lease lasts."""
        return {"deadline_at": self._moment(job.deadline), "lease_for": round(job.deadline - self.now(), 3)}

    def _claim(self, call: Call) -> dict[str, Any]:
        self.queue.check_instance(call.instance)
        return self._jobs(call, call.body)

    def _jobs(self, call: Call, claim: dict[str, Any]) -> dict[str, Any]:
        """Give jobs, or hold the call open for as long as it asks."""
        wait = claim.get("wait", 0)
        until = time.monotonic() + wait + (self.late_by if wait else 0)
        ask = claim.get("limit", 1), claim.get("kinds"), claim.get("start", True)
        while True:
            instance = self.queue.instances.get(call.instance)
            orders = self.queue.orders(call.instance)
            gone = self.is_down or (instance is not None and instance.ended)
            jobs = [] if gone else self.queue.claim(call.instance, *ask)
            left = until - time.monotonic()
            if jobs or gone or any(orders.values()) or left <= 0:
                return {"jobs": [self._given(job) for job in jobs], **orders}
            self.changed.wait(min(left, 0.05))

    def _given(self, job: Job) -> dict[str, Any]:
        return {
            "id": job.id,
            "kind": job.kind,
            "attempt": job.attempt,
            "max_attempts": 3,
            "payload": job.payload,
            "priority": 0,
            "key": None,
            "run_at": self._moment(job.due),
            **self._until(job),
            **NEW_FIELD,
        }

    def _exchange(self, call: Call) -> dict[str, Any]:
        if call.claim is not None or not any(call.reports()):
            # Reports alone are still taken from a process that was replaced.
            self.queue.check_instance(call.instance)
        accepted: list[int] = []
        rejected: list[dict[str, Any]] = []
        for name, verb in SORTS.items():
            for item in call.body.get(name) or ():
                try:
                    self.queue.report(verb, item["id"], item["attempt"], item)
                    accepted.append(item["id"])
                except Refused as refused:
                    rejected.append(self._rejected(item, refused))
        self.changed.notify_all()
        cancel = [entry["id"] for entry in rejected if entry["cancel"]]
        head = {"accepted": accepted, "rejected": rejected, "cancel": cancel}
        if (claim := call.body.get("claim")) is not None:
            return head | self._jobs(call, claim)
        return head | {"jobs": [], **self.queue.orders(call.instance)}

    def _rejected(self, item: dict[str, Any], refused: Refused) -> dict[str, Any]:
        facts = dict.fromkeys(("ended_by", "ended_at", "reason", "verb")) | {"cancel": False} | refused.facts
        if isinstance(facts["ended_at"], float):
            facts["ended_at"] = self._moment(facts["ended_at"])
        facts.pop("job_id", None)
        return facts | {"id": item["id"], "attempt": item["attempt"], "code": refused.code, "detail": refused.detail}

    def _moment(self, seconds: float) -> str:
        at = datetime.now(timezone.utc) + self.ahead + timedelta(seconds=seconds - self.now())
        return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _decoded(data: bytes) -> Any:
    try:
        return json.loads(data) if data else None
    except ValueError:
        detail = "The body is not JSON in UTF-8."
        raise Refused(400, "bad_request", detail, errors=[{"field": "body", "message": detail}]) from None


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
