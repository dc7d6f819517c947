"""Reserve a port, so that no other socket on this machine has it before the server that is about to listen on it."""

import contextlib
import socket
from collections.abc import Iterator


@contextlib.contextmanager
def reserved() -> Iterator[int]:
    """A port of 127.0.0.1 that nobody listens on; whoever connects to it is refused.

    A server may bind to it by its number (SO_REUSEADDR), which all servers here do. The system gives it to no socket
    that asks for any port, and to no connection: other processes of a run open hundreds while a server starts.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])
