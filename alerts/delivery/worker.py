"""The worker process, which sends to receivers: `python -m alerts.delivery.worker`.

Reads one JSON request a line from standard input and answers each with one line; secrets therefore never appear in
process arguments. Uses neither Django nor the database. The parent (`alerts.delivery.process`) kills it when it takes
too long; it exits at the end of its input. Its access is restricted by `alerts.delivery.sandbox`.
"""

import json
import logging
import resource
import socket
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from alerts.delivery import sandbox
from alerts.delivery.networks import is_internal

#: Memory limit of this process, in bytes, against huge answers.
MEMORY_LIMIT = 1 << 30
#: How much of an answer is read, in characters. More than is shown, since masking comes before cutting.
ANSWER_READ = 8000
#: Seconds to connect, and between two reads.
TIMEOUT = (5, 15)
#: Services that only reach this machine.
LOCAL_SERVICES = {"syslog", "dbus", "qt", "kde", "glib", "gio", "gnome", "macosx", "windows", "blink1"}
#: Parameters of an address that name a file to read.
FILE_PARAMETERS = {"attach", "attachment", "config", "file", "keyfile", "subfile", "template", "pgpkey", "pgp_key"}


class BadAddress(ValueError):
    """An address is not usable. The text is our own and contains nothing of the address but its service."""


refused: list[str] = []
allowed = {"private": False}


def main() -> None:
    """Answer requests until the input ends. The first line has the permissions."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    _load(json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        refused.clear()
        answer = _answer(json.loads(line))
        print(json.dumps(answer), flush=True)


def _load(first: dict[str, Any]) -> None:
    # Import everything before the sandbox is installed.
    import requests  # noqa: F401

    if first["apprise"]:
        import apprise

        apprise.Apprise.instantiate("json://localhost")
    allowed["private"] = first["allow_private"]
    sandbox.install(allow_private=allowed["private"], refused=refused)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    actions: dict[str, Callable[..., dict[str, Any]]] = {"check": _check, "notify": _notify, "post": _post}
    try:
        return actions[request.pop("do")](**request)
    except Exception as error:
        is_ours = bool(refused) or isinstance(error, BadAddress | sandbox.Refused)
        return {"ok": False, "detail": _error_text(error), "unsure": False, "is_ours": is_ours}


def _error_text(error: BaseException) -> str:
    return refused[0] if refused else " ".join(str(error).split()) or type(error).__name__


# --- Webhooks -----------------------------------------------------------------------------------------------------


def _post(url: str, headers: dict[str, str], body: str) -> dict[str, Any]:
    """POST once. Redirects are not followed: the signed body goes to the configured address only."""
    import requests

    try:
        with requests.post(
            url, data=body.encode(), headers=headers, timeout=TIMEOUT, allow_redirects=False, stream=True
        ) as answer:
            # requests has already read the body of a redirect.
            content = answer.content if answer.is_redirect else answer.raw.read(ANSWER_READ, decode_content=True)
            detail = _answer_text(answer.status_code, answer.reason, content.decode("utf-8", "replace"))
            return {"ok": 200 <= answer.status_code < 300, "detail": detail, "unsure": False}
    except requests.RequestException as error:
        unsure = not refused and _may_have_arrived(error)
        return {"ok": False, "detail": refused[0] if refused else _cause(error, unsure), "unsure": unsure}


def _answer_text(status: int, reason: str, text: str) -> str:
    text = " ".join(text.split())[:ANSWER_READ]
    return f"{status} {reason or ''}".strip() + (f": {text}" if text else "")


def _cause(error: BaseException, unsure: bool) -> str:
    """The root cause inside the exceptions that libraries wrap around it: `Could not connect: Connection refused`."""
    root: BaseException = error
    visited: list[BaseException] = []
    while root not in visited:
        visited.append(root)
        inner = root.args[0] if root.args and isinstance(root.args[0], BaseException) else None
        root = getattr(root, "reason", None) or inner or root.__cause__ or root.__context__ or root
        root = root if isinstance(root, BaseException) else visited[-1]
    text = getattr(root, "strerror", None) or " ".join(str(root).split()) or type(root).__name__
    return f"No answer: {text}" if unsure else f"Could not connect: {text}"


def _may_have_arrived(error: BaseException) -> bool:
    """Whether the receiver may have got the request, although no answer came."""
    import requests
    from urllib3.exceptions import NewConnectionError

    if isinstance(error, requests.ConnectTimeout | requests.exceptions.SSLError | requests.exceptions.ProxyError):
        return False
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.Timeout | requests.ConnectionError) and not isinstance(reason, NewConnectionError)


# --- Apprise ------------------------------------------------------------------------------------------------------


class _SendLog(logging.Handler):
    """Collects Apprise's log lines and the receiver's answers during a try."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.warnings: list[str] = []
        self.infos: list[str] = []
        self.answers: list[str] = []
        self.errors: list[str] = []
        self.unsure = False

    def emit(self, record: logging.LogRecord) -> None:
        text = " ".join(record.getMessage().split())
        if text.startswith("Socket Exception: "):
            # The HTTP error is recorded already, and is clearer.
            if self.errors:
                return
            self.answers.append(text.removeprefix("Socket Exception: "))
            self.unsure = self.unsure or "timed out" in text
        elif record.levelno >= logging.WARNING:
            self.warnings.append(text)
        elif record.levelno == logging.INFO:
            self.infos.append(text)

    def text(self, ok: bool) -> str:
        """The outcome in one line."""
        parts = [*([] if ok else self.warnings), *self.answers, *self.errors] or self.infos
        return " ".join(dict.fromkeys(parts))[:ANSWER_READ]


def _notify(address: str, title: str, body: str, level: str, id: str) -> dict[str, Any]:
    """Send by Apprise once. `id` is sent along if the service has a field for it."""
    plugin = _plugin(address)
    log = _SendLog()
    logger = logging.getLogger("apprise")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.handlers = [log]
    _set_message_id(plugin, id)
    _record_answers(log)
    ok = bool(plugin.notify(body=body, title=title, notify_type=level, body_format="text"))
    detail = refused[0] if refused and not ok else log.text(ok)
    return {"ok": ok, "detail": detail or ("Sent." if ok else "It was not sent."), "unsure": log.unsure and not ok}


def _set_message_id(plugin: Any, id: str) -> None:
    """Send the delivery's id along, the same with each try: Message-ID in mail, a header over HTTP."""
    from apprise.plugins.email import base as mail

    def make_msgid(idstring: str | None = None, domain: str | None = None) -> str:
        return f"<{id}@{domain or 'jobsite'}>"

    setattr(mail, "make_msgid", make_msgid)  # noqa: B010  it imports the standard library's
    # Only in these plugins is `headers` the HTTP headers.
    if type(plugin).__module__.rpartition(".")[2] in {"custom_json", "custom_xml", "custom_form"}:
        plugin.headers["Jobsite-Delivery"] = id


def _record_answers(log: _SendLog) -> None:
    """Record HTTP answers in `log`, since Apprise does not return them."""
    import requests

    original = requests.Session.__dict__["send"]
    original = getattr(original, "original", original)

    def send(self: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        try:
            answer: requests.Response = original(self, request, **options)
        except requests.RequestException as error:
            unsure = _may_have_arrived(error)
            log.unsure = log.unsure or unsure
            log.errors.append(_cause(error, unsure))
            raise
        log.answers.append(_answer_text(answer.status_code, answer.reason, answer.text))
        return answer

    send.original = original  # type: ignore[attr-defined]
    requests.Session.send = send  # type: ignore[method-assign]


def _plugin(address: str) -> Any:
    import apprise
    from apprise.manager_plugins import NotificationManager

    scheme, colons, _ = address.partition("://")
    scheme = scheme.strip().lower()
    if not colons or " " in scheme:
        raise BadAddress("An address begins with a service and ://, such as mailto:// or slack://.")
    if scheme in LOCAL_SERVICES:
        raise BadAddress(f"{scheme}:// only reaches this machine; channels may not use it.")
    known = NotificationManager().schemas(include_disabled=True)
    if scheme not in known and scheme not in {"http", "https"}:
        raise BadAddress(f"There is no service called {scheme}://.")
    _refuse_files(address)
    # Some services need redirects; the sandbox checks each.
    plugin = apprise.Apprise.instantiate(address, suppress_exceptions=False)
    if plugin is None and scheme in known and not NotificationManager()[scheme].enabled:
        raise BadAddress(f"{scheme}:// needs a package that is not installed here.")
    if plugin is None:
        raise BadAddress(f"This is not a valid address for {scheme}://.")
    return plugin


def _refuse_files(address: str) -> None:
    for name, value in parse_qsl(address.partition("?")[2], keep_blank_values=True):
        if name.strip().lower() in FILE_PARAMETERS or value.strip().lower().startswith("file:"):
            raise BadAddress(f"The parameter {name.strip()} reads a file of this machine; channels may not use it.")


def _check(way: str, address: str) -> dict[str, Any]:
    """Check that the address is valid and allowed. Sends nothing. `shown`: its masked form."""
    if way == "webhook":
        url = urlsplit(address)
        if url.scheme not in {"http", "https"} or not url.hostname:
            raise BadAddress("A webhook's address begins with https:// or http:// and names a host.")
        _refuse_internal(url.hostname)
        return {"ok": True, "detail": "", "shown": f"{url.scheme}://{_with_port(url.hostname, url.port)}/…"}
    plugin = _plugin(address)
    scheme = plugin.url(privacy=True).partition("://")[0]
    # A mail server is often not the host after the @.
    host = getattr(plugin, "smtp_host", "") or _public_host(plugin)
    if host:
        _refuse_internal(host)
    at = _with_port(host, plugin.port) + "/" if host else ""
    return {"ok": True, "detail": "", "shown": f"{plugin.service_name}, {scheme}://{at}…"}


def _with_port(host: str, port: int | None) -> str:
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{port}" if port else host


def _public_host(plugin: Any) -> str:
    """The host in the address, if it is one. Many services have a token in its place; their masked form shows which."""
    host = str(plugin.host or "")
    try:
        masked = urlsplit(plugin.url(privacy=True)).hostname or ""
    except ValueError:
        return ""
    has_host = any("{host}" in template for template in plugin.templates)
    return host if has_host and host.lower() == masked.lower() else ""


def _refuse_internal(host: str) -> None:
    """Refuse a host with an internal address. One that does not resolve now is checked when it is used."""
    try:
        addresses = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return
    for *_, address in addresses:
        if not allowed["private"] and is_internal(str(address[0])):
            raise sandbox.Refused(sandbox.INTERNAL_ADDRESS.format(address[0]))


if __name__ == "__main__":
    main()
