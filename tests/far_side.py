"""What alerts are sent to in tests: a real HTTP receiver and a real SMTP server on this machine, and what is told.

A pytest plugin.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from django.utils import timezone

from alerts.models import Channel, Incident, IncidentBot
from alerts.states import Cause, Severity, Way
from tests.cast import Lease

#: How long a receiver that never answers waits for the end of its test.
FOREVER = 120


@dataclass(frozen=True)
class Got:
    """One request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """An HTTP server that keeps what it gets, and answers as it is told."""

    server: ThreadingHTTPServer
    got: list[Got] = field(default_factory=list)
    #: `(status, body, headers)` for each request, or something that makes it of one.
    answer: Any = (200, b"ok", {})
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    def url(self, path: str = "/hook", scheme: str = "http") -> str:
        """Where it is; by `scheme` as Apprise has it, too."""
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def never_answers(self) -> None:
        """From now on it takes what comes and says nothing."""

        def silent(got: Got) -> None:
            self.over.wait(FOREVER)

        self.answer = silent

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        got = Got(handler.command, handler.path, dict(handler.headers.items()), handler.rfile.read(length))
        self.got.append(got)
        answer = self.answer(got) if callable(self.answer) else self.answer
        if answer is None:
            handler.close_connection = True
            return
        status, body, headers = answer
        handler.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)


def a_receiver(host: str = "127.0.0.1") -> Receiver:
    """A receiver that is listening; `close` it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            try:
                kept.handle(self)
            except OSError:
                self.close_connection = True

        do_GET = do_POST

        def log_message(self, *args: Any) -> None:
            return

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

    server = Server((host, 0), Handler)
    kept = Receiver(server)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return kept


def close(receiver: Receiver) -> None:
    receiver.over.set()
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An HTTP receiver."""
    kept = a_receiver()
    yield kept
    close(kept)


@pytest.fixture
def another_receiver() -> Iterator[Receiver]:
    """A second one."""
    kept = a_receiver()
    yield kept
    close(kept)


@dataclass
class Mailbox:
    """What an SMTP server has taken."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    #: What it says to a message's end; an SMTP reply.
    reply: str = "250 OK: kept"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.reply.startswith("250"):
            self.mails.append(BytesParser(policy=default).parsebytes(envelope.content))  # type: ignore[arg-type]
        return self.reply

    def url(self, to: str = "ops@example.org") -> str:
        """Its address as Apprise has it."""
        return f"mailto://127.0.0.1:{self.port}?smtp=127.0.0.1&from=jobs@example.org&to={to}"


@pytest.fixture
def mailbox(unused_port: int) -> Iterator[Mailbox]:
    """A real SMTP server."""
    box = Mailbox(unused_port)
    controller = Controller(box, hostname="127.0.0.1", port=unused_port)
    controller.start()
    yield box
    controller.stop()


@pytest.fixture
def inside_allowed(settings: Any) -> None:
    """Channels may have addresses on this machine."""
    settings.ALERTS_ALLOW_PRIVATE = True


# --- What is told -------------------------------------------------------------------------------------------------


def an_incident(*bots: str, **fields: Any) -> Incident:
    """An open incident with these bots in it."""
    given = {
        "cause": Cause.STUCK,
        "about": fields.get("kind", "sum"),
        "kind": "sum",
        "severity": Severity.WARNING,
        "title": f"{len(bots) or 1} bots are stuck on sum jobs",
        "reason": "silent for 6 m 10 s, limit 2 m",
        "opened_at": timezone.now(),
    } | fields
    incident = Incident.objects.create(**given)
    for number, name in enumerate(bots, 1):
        IncidentBot.objects.create(incident=incident, name=name, job_id=number, reason="silent for 6 m, limit 2 m")
    return incident


def stuck_with(*leases: Lease) -> Incident:
    """An open incident of bots that hold these jobs."""
    incident = an_incident()
    for lease in leases:
        IncidentBot.objects.create(
            incident=incident, bot=lease.bot, name=lease.bot.name, job_id=lease.id, reason="silent for 6 m, limit 2 m"
        )
    return incident


def a_channel(address: str, **fields: Any) -> Channel:
    """A channel to this address: a webhook for http://, else by Apprise."""
    way = Way.WEBHOOK if address.startswith("http") else Way.APPRISE
    return Channel.objects.create(**({"name": "on call", "way": way, "address": address} | fields))


def changed(incident: Incident, **fields: Any) -> Incident:
    """The incident in its next state."""
    for name, value in ({"state": incident.state + 1} | fields).items():
        setattr(incident, name, value)
    incident.save()
    return incident


def resolved(incident: Incident) -> Incident:
    """The incident, over."""
    return changed(incident, resolved_at=timezone.now())


Make = Callable[..., Any]
