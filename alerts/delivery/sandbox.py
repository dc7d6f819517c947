"""What a process that talks to the far side may do. `keep()` cannot be undone for the life of the process.

The check is in CPython's audit hooks, at the very call that connects, so it sees the address that is connected to:
nothing can change between check and use, whichever library resolved the name, and a redirect is checked like the first
address. It is no sandbox for hostile code; it holds back well-meant libraries that were given a hostile address.
"""

import mimetypes
import os
import sys
from collections.abc import Callable
from typing import Any

from alerts.delivery.networks import is_inside

#: Starting a program, or loading a library that could.
_PROGRAMS = {
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "pty.spawn",
    "ctypes.dlopen",
}  # fmt: skip
_TALKS = {"socket.connect", "socket.sendto", "socket.sendmsg"}
#: What libraries read for themselves: their code, certificates, time zones, types of files. Not the project's folder.
_READABLE: tuple[str, ...] = (
    *{os.path.join(os.path.realpath(path), "") for path in (sys.prefix, sys.base_prefix)},
    "/etc/ssl/", "/usr/lib/", "/usr/share/", "/usr/local/share/", "/dev/null", "/dev/urandom",
    *map(str, mimetypes.knownfiles),
)  # fmt: skip
#: What is said of an address inside the network.
INSIDE = "{} is inside the network, and ALERTS_ALLOW_PRIVATE is not set."
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC


class Refused(PermissionError):
    """The far side may not be reached, or a file not read, from here. The text is for people and names no path."""


def keep(*, allow_private: bool, refused: list[str]) -> None:
    """From now on, refuse programs, files, local sockets and (unless allowed) addresses inside the network.

    Each refusal raises `Refused`, and its text is added to `refused`, for libraries that swallow what is raised.
    """

    def refuse(text: str) -> None:
        if text not in refused:
            refused.append(text)
        raise Refused(text)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in _TALKS:
            _check_address(args[1], allow_private, refuse)
        elif event in _PROGRAMS:
            refuse("A channel may not start programs.")
        elif event == "open":
            _check_file(args[0], args[2], refuse)

    sys.addaudithook(hook)


def _check_address(address: Any, allow_private: bool, refuse: Callable[[str], None]) -> None:
    if address is None:
        return  # on a socket that is connected already
    if not isinstance(address, tuple):
        refuse("A channel may not use sockets of this machine.")
    host = str(address[0])
    if not allow_private and is_inside(host):
        refuse(INSIDE.format(host))


def _check_file(path: Any, flags: Any, refuse: Callable[[str], None]) -> None:
    if isinstance(path, int) or path is None:
        return
    real = os.path.realpath(os.fsdecode(path))
    if isinstance(flags, int) and flags & _WRITES and real != os.devnull:
        refuse("A channel may not write files.")
    if not real.startswith(_READABLE):
        refuse("A channel may not read files of this machine.")
