"""Make a WSGI environ of an ASGI scope. Pure."""

import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

_BASE: dict[str, Any] = {
    "wsgi.errors": sys.stderr,
    "wsgi.input_terminated": True,
    "wsgi.multiprocess": True,
    "wsgi.multithread": True,
    "wsgi.run_once": False,
    "wsgi.version": (1, 0),
    # For servers that name none, as on a Unix socket.
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
    "REMOTE_ADDR": "",
}


def environ_of(scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the environ, as yet without a body."""
    raw, prefix = scope["raw_path"], scope.get("root_path", "")
    path = (unquote_to_bytes(raw) if b"%" in raw else raw).decode("latin-1")
    environ = {
        **_BASE,
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": prefix,
        "PATH_INFO": path.removeprefix(prefix) or "/",
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "wsgi.url_scheme": scope["scheme"],
    }
    if scope.get("server"):
        environ["SERVER_NAME"], environ["SERVER_PORT"] = scope["server"][0], str(scope["server"][1])
    if scope.get("client"):
        environ["REMOTE_ADDR"] = scope["client"][0]
    for name, value in scope["headers"]:
        key, text = _key(name), value.decode("latin-1")
        if key in environ:
            text = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{text}"
        if key:
            environ[key] = text
    return environ


@lru_cache(maxsize=500)
def _key(name: bytes) -> str:
    """The name of a header in an environ. None for one with an underscore: it would pass for one with a hyphen."""
    if b"_" in name:
        return ""
    text = name.decode("latin-1").upper().replace("-", "_")
    return text if text in ("CONTENT_LENGTH", "CONTENT_TYPE") else f"HTTP_{text}"
