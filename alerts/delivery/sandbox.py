"""Restrict the worker process: no programs, no files, no internal addresses. `install()` cannot be undone.

The checks are CPython audit hooks in the call that connects, so they see the address that is used: whichever library
resolved the name, and after redirects. This does not contain hostile code. It contains well-behaved libraries that were
given a hostile address.
"""

import mimetypes
import os
import sys
from collections.abc import Callable
from typing import Any

from alerts.delivery.networks import is_internal

#: Starting a program, or loading a library that could.
_PROGRAMS = {
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "pty.spawn",
    "ctypes.dlopen",
}  # fmt: skip
_CONNECTS = {"socket.connect", "socket.sendto", "socket.sendmsg"}
#: What libraries read: code, certificates, time zones, file types. Not the project's folder.
_READABLE: tuple[str, ...] = (
    *{os.path.join(os.path.realpath(path), "") for path in (sys.prefix, sys.base_prefix)},
    "/etc/ssl/", "/usr/lib/", "/usr/share/", "/usr/local/share/", "/dev/null", "/dev/urandom",
    *map(str, mimetypes.knownfiles),
)  # fmt: skip
#: The error for an internal address.
INTERNAL_ADDRESS = "{} is inside the network, and ALERTS_ALLOW_PRIVATE is not set."
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC


class Refused(PermissionError):
    """Access was refused. The text is for people and contains no path."""


def install(*, allow_private: bool, refused: list[str]) -> None:
    """Refuse programs, files, local sockets and (unless allowed) internal addresses from now on.

    Each refusal raises `Refused`. Its text is also added to `refused`, since some libraries swallow exceptions.
    """

    def refuse(text: str) -> None:
        if text not in refused:
            refused.append(text)
        raise Refused(text)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in _CONNECTS:
            _check_address(args[1], allow_private, refuse)
        elif event in _PROGRAMS:
            refuse("A channel may not start programs.")
        elif event == "open":
            _check_file(args[0], args[2], refuse)

    sys.addaudithook(hook)


def _check_address(address: Any, allow_private: bool, refuse: Callable[[str], None]) -> None:
    if address is None:
        return  # The socket is already connected.
    if not isinstance(address, tuple):
        refuse("A channel may not use sockets of this machine.")
    host = str(address[0])
    if not allow_private and is_internal(host):
        refuse(INTERNAL_ADDRESS.format(host))


def _check_file(path: Any, flags: Any, refuse: Callable[[str], None]) -> None:
    if isinstance(path, int) or path is None:
        return
    real = os.path.realpath(os.fsdecode(path))
    if isinstance(flags, int) and flags & _WRITES and real != os.devnull:
        refuse("A channel may not write files.")
    if not real.startswith(_READABLE):
        refuse("A channel may not read files of this machine.")
