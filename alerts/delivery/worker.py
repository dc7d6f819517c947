"""The program that talks to the far side, in a process of its own: `python -m alerts.delivery.worker`.

It reads one JSON object a line and answers each with one. It knows neither Django nor the database; what it is told
comes by its standard input, so that no secret stands among a process's arguments. Whoever started it kills it when it
takes too long, and when its input ends, it ends. What it may reach is in `alerts.delivery.sandbox`.
"""

import json
import logging
import resource
import sys
from collections.abc import Callable
from typing import Any

from alerts.delivery import sandbox
from alerts.delivery.networks import is_inside

#: The most memory this process takes, whatever the far side answers.
MEMORY = 1 << 30
#: How much of an answer is read, in characters. More than is shown: secrets are masked first, and then it is cut.
HEARD = 8000
#: Seconds to connect, and between two parts of an answer.
TIMEOUT = (5, 15)
#: Services that do not leave this machine.
LOCAL = {"syslog", "dbus", "qt", "kde", "glib", "gio", "gnome", "macosx", "windows", "blink1"}
#: Parameters of an address that name a file to read.
NAMES_A_FILE = {"attach", "attachment", "config", "file", "keyfile", "subfile", "template", "pgpkey", "pgp_key"}


class Wrong(ValueError):
    """What is wrong with an address, in our own words: no part of the address is in them but its service."""


refused: list[str] = []
allowed = {"private": False}


def main() -> None:
    """Answer until the input ends. The first line says what is allowed."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    _load(json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        refused.clear()
        answer = _answer(json.loads(line))
        print(json.dumps(answer), flush=True)


def _load(first: dict[str, Any]) -> None:
    # All that will be needed is imported before the guard is there.
    import requests  # noqa: F401

    if first["apprise"]:
        import apprise

        apprise.Apprise.instantiate("json://localhost")
    allowed["private"] = first["allow_private"]
    sandbox.keep(allow_private=allowed["private"], refused=refused)


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    does: dict[str, Callable[..., dict[str, Any]]] = {"check": _check, "notify": _notify, "post": _post}
    try:
        return does[asked.pop("do")](**asked)
    except Exception as error:
        ours = bool(refused) or isinstance(error, Wrong | sandbox.Refused)
        return {"ok": False, "said": _why(error), "unsure": False, "ours": ours}


def _why(error: BaseException) -> str:
    return refused[0] if refused else " ".join(str(error).split()) or type(error).__name__


# --- A webhook: what is posted is what was signed ----------------------------------------------------------------


def _post(url: str, headers: dict[str, str], body: str) -> dict[str, Any]:
    """POST, once. A redirect is an answer like another, and is not followed."""
    import requests

    try:
        with requests.post(
            url, data=body.encode(), headers=headers, timeout=TIMEOUT, allow_redirects=False, stream=True
        ) as answer:
            # To know where a redirect would lead, requests has read its body already.
            read = answer.content if answer.is_redirect else answer.raw.read(HEARD, decode_content=True)
            said = _said(answer.status_code, answer.reason, read.decode("utf-8", "replace"))
            return {"ok": 200 <= answer.status_code < 300, "said": said, "unsure": False}
    except requests.RequestException as error:
        unsure = not refused and _may_have_arrived(error)
        return {"ok": False, "said": refused[0] if refused else _trouble(error, unsure), "unsure": unsure}


def _said(status: int, reason: str, text: str) -> str:
    text = " ".join(text.split())[:HEARD]
    return f"{status} {reason or ''}".strip() + (f": {text}" if text else "")


def _trouble(error: BaseException, unsure: bool) -> str:
    """What went wrong beneath all that libraries wrap around it: `Could not connect: Connection refused`."""
    root: BaseException = error
    seen: list[BaseException] = []
    while root not in seen:
        seen.append(root)
        inner = root.args[0] if root.args and isinstance(root.args[0], BaseException) else None
        root = getattr(root, "reason", None) or inner or root.__cause__ or root.__context__ or root
        root = root if isinstance(root, BaseException) else seen[-1]
    text = getattr(root, "strerror", None) or " ".join(str(root).split()) or type(root).__name__
    return f"The answer did not come: {text}" if unsure else f"Could not connect: {text}"


def _may_have_arrived(error: BaseException) -> bool:
    """Whether the far side may have got what we sent, though no answer came."""
    import requests
    from urllib3.exceptions import NewConnectionError

    if isinstance(error, requests.ConnectTimeout | requests.exceptions.SSLError | requests.exceptions.ProxyError):
        return False
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.Timeout | requests.ConnectionError) and not isinstance(reason, NewConnectionError)


# --- Everything Apprise knows ------------------------------------------------------------------------------------


class _Heard(logging.Handler):
    """What Apprise says while it sends, and what the far side answered."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.warned: list[str] = []
        self.done: list[str] = []
        self.answers: list[str] = []
        self.troubles: list[str] = []
        self.unsure = False

    def emit(self, record: logging.LogRecord) -> None:
        text = " ".join(record.getMessage().split())
        if text.startswith("Socket Exception: "):
            # What HTTP said of it is there already, and better.
            if self.troubles:
                return
            self.answers.append(text.removeprefix("Socket Exception: "))
            self.unsure = self.unsure or "timed out" in text
        elif record.levelno >= logging.WARNING:
            self.warned.append(text)
        elif record.levelno == logging.INFO:
            self.done.append(text)

    def said(self, ok: bool) -> str:
        parts = [*([] if ok else self.warned), *self.answers, *self.troubles] or self.done
        return " ".join(dict.fromkeys(parts))[:HEARD]


def _notify(address: str, title: str, body: str, level: str, id: str) -> dict[str, Any]:
    """Send by Apprise, once. `id` goes along where the service has a place for it."""
    plugin = _plugin(address)
    heard = _Heard()
    log = logging.getLogger("apprise")
    log.setLevel(logging.DEBUG)
    log.propagate = False
    log.handlers = [heard]
    _mark(plugin, id)
    _listen(heard)
    ok = bool(plugin.notify(body=body, title=title, notify_type=level, body_format="text"))
    said = refused[0] if refused and not ok else heard.said(ok)
    return {"ok": ok, "said": said or ("Sent." if ok else "It was not sent."), "unsure": heard.unsure and not ok}


def _mark(plugin: Any, id: str) -> None:
    """The message's own name, the same each time it is sent: Message-ID in mail, a header over HTTP."""
    from apprise.plugins.email import base as mail

    def make_msgid(idstring: str | None = None, domain: str | None = None) -> str:
        return f"<{id}@{domain or 'jobsite'}>"

    setattr(mail, "make_msgid", make_msgid)  # noqa: B010  it takes the standard library's there
    # Only these take headers as they are; elsewhere the attribute means other things.
    if type(plugin).__module__.rpartition(".")[2] in {"custom_json", "custom_xml", "custom_form"}:
        plugin.headers["Jobsite-Delivery"] = id


def _listen(heard: _Heard) -> None:
    """Keep what answers say, which Apprise does not hand on."""
    import requests

    real = requests.Session.__dict__["send"]
    real = getattr(real, "beneath", real)

    def send(self: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        try:
            answer: requests.Response = real(self, request, **options)
        except requests.RequestException as error:
            unsure = _may_have_arrived(error)
            heard.unsure = heard.unsure or unsure
            heard.troubles.append(_trouble(error, unsure))
            raise
        heard.answers.append(_said(answer.status_code, answer.reason, answer.text))
        return answer

    send.beneath = real  # type: ignore[attr-defined]
    requests.Session.send = send  # type: ignore[method-assign]


def _plugin(address: str) -> Any:
    import apprise
    from apprise.manager_plugins import NotificationManager

    scheme, colons, _ = address.partition("://")
    scheme = scheme.strip().lower()
    if not colons or " " in scheme:
        raise Wrong("An address begins with a service and ://, as in mailto:// or slack://.")
    if scheme in LOCAL:
        raise Wrong(f"{scheme}:// does not leave this machine, and is not for channels.")
    known = NotificationManager().schemas(include_disabled=True)
    if scheme not in known and scheme not in {"http", "https"}:
        raise Wrong(f"There is no service called {scheme}://.")
    _refuse_files(address)
    # Redirects are followed where the service asks for that; each is checked by the guard.
    plugin = apprise.Apprise.instantiate(address, suppress_exceptions=False)
    if plugin is None and scheme in known and not NotificationManager()[scheme].enabled:
        raise Wrong(f"{scheme}:// needs a package that is not installed here.")
    if plugin is None:
        raise Wrong(f"This is not an address that {scheme}:// understands.")
    return plugin


def _refuse_files(address: str) -> None:
    from urllib.parse import parse_qsl

    for name, value in parse_qsl(address.partition("?")[2], keep_blank_values=True):
        if name.strip().lower() in NAMES_A_FILE or value.strip().lower().startswith("file:"):
            raise Wrong(f"The parameter {name.strip()} reads a file of this machine, and is not for channels.")


def _check(way: str, address: str) -> dict[str, Any]:
    """Whether the address is one, and may be reached. Sends nothing. `shown` has no secret in it."""
    from urllib.parse import urlsplit

    if way == "webhook":
        url = urlsplit(address)
        if url.scheme not in {"http", "https"} or not url.hostname:
            raise Wrong("A webhook's address begins with https:// or http:// and names a host.")
        _reachable(url.hostname)
        return {"ok": True, "said": "", "shown": f"{url.scheme}://{_with_port(url.hostname, url.port)}/…"}
    plugin = _plugin(address)
    scheme = plugin.url(privacy=True).partition("://")[0]
    # Mail goes to a server that is often not the host after the @.
    host = getattr(plugin, "smtp_host", "") or _public_host(plugin)
    if host:
        _reachable(host)
    at = _with_port(host, plugin.port) + "/" if host else ""
    return {"ok": True, "said": "", "shown": f"{plugin.service_name}, {scheme}://{at}…"}


def _with_port(host: str, port: int | None) -> str:
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{port}" if port else host


def _public_host(plugin: Any) -> str:
    """The host in the address, where it is one: many services have a token in its place, and mask it themselves."""
    from urllib.parse import urlsplit

    host = str(plugin.host or "")
    try:
        masked = urlsplit(plugin.url(privacy=True)).hostname or ""
    except ValueError:
        return ""
    has_place = any("{host}" in template for template in plugin.templates)
    return host if has_place and host.lower() == masked.lower() else ""


def _reachable(host: str) -> None:
    """Refuse a host that leads inside. One that nobody knows now may be known when it is sent to: checked then."""
    import socket

    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return
    for *_, address in found:
        if not allowed["private"] and is_inside(str(address[0])):
            raise sandbox.Refused(sandbox.INSIDE.format(address[0]))


if __name__ == "__main__":
    main()
