"""Read requests and write answers: HTTP/1.1 over TCP."""

import json
import select
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from .calls import Call

# Bytes of a body.
MAX_BODY = 2 * 1024 * 1024


class Answering(Protocol):
    """What answers the calls."""

    def connected(self, connection: socket.socket) -> bool: ...

    def disconnected(self, connection: socket.socket) -> None: ...

    def date(self) -> str: ...

    def answer(self, method: str, path: str, headers: dict[str, str], data: bytes) -> tuple[Call, dict[str, str]]: ...


class Listener(ThreadingHTTPServer):
    """Listens, with a thread for each connection."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Bots that hang up or are killed are no fault."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def handler_for(server: Answering) -> type[BaseHTTPRequestHandler]:
    """The class that handles the connections of this server."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body are two packets, and the second must not wait for the first one's acknowledgement.
        disable_nagle_algorithm = True

        def handle(self) -> None:
            if server.connected(self.connection):
                try:
                    super().handle()
                finally:
                    server.disconnected(self.connection)

        def do_POST(self) -> None:
            if "chunked" in self.headers.get("Transfer-Encoding", ""):
                data = self._chunks()
            else:
                data = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), MAX_BODY))
            headers = {name.lower(): value for name, value in self.headers.items()}
            call, more = server.answer(self.command, self.path, headers, data)
            call.hung_up = _hung_up(self.connection)
            if call.status is None or call.hung_up:
                self.close_connection = True
                return
            content = json.dumps(call.answer, ensure_ascii=False).encode()
            self.send_response_only(call.status)
            form = "application/json" if call.status == 200 else "application/problem+json"
            more = {"Date": server.date(), "Content-Type": form, **more, "Content-Length": str(len(content))}
            for name, value in more.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def _chunks(self) -> bytes:
            data = b""
            while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data

        def log_message(self, format: str, *args: Any) -> None:
            pass

    for method in ("GET", "PUT", "PATCH", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.do_POST)
    return Handler


def _hung_up(connection: socket.socket) -> bool:
    """Whether the bot has closed the connection."""
    try:
        readable, _, _ = select.select([connection], [], [], 0)
        return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""
    except (OSError, ValueError):
        return True
