"""Addresses of channels: whether one may be used, and keeping their secrets out of everything that is shown.

What is shown of an address is made once, when it is saved: the service and, where the address has one, the host. What
comes back from the far side, or from a library, goes through `mask` before anybody sees or keeps it.
"""

import base64
import json
import re
from urllib.parse import quote, unquote

from alerts.delivery.process import Answer, Apart

#: What stands in the place of a secret.
MASKED = "****"
#: Shorter parts are masked only where they stand as a word; else half of every sentence would be stars.
SURE = 6
#: Words that addresses are made of, and that are no secrets.
_PLAIN = {
    "true", "false", "yes", "no", "post", "get", "put", "text", "html", "markdown", "hooks", "services", "api", "www",
    "http", "https", "smtp", "mode", "from", "name", "user", "pass", "port", "method", "format", "webhook",
}  # fmt: skip

#: Parameters that say who a mail is from and to, and by which server it goes.
_NO_SECRETS = {"from", "to", "cc", "bcc", "reply", "smtp"}
#: How much of what the far side said is kept, in characters.
HEARD = 200

EXAMPLES = (
    "mailto://USER:PASSWORD@mail.example.org?from=jobs@example.org&to=ops@example.org",
    "slack://TOKEN_A/TOKEN_B/TOKEN_C/#ops",
    "tgram://BOT_TOKEN/CHAT_ID",
    "pagerduty://INTEGRATION_KEY@API_KEY",
    "workflows://HOST/WORKFLOW/SIGNATURE (Teams)",
)


def check(way: str, address: str) -> Answer:
    """Whether a channel may have this address; `shown` is how it is shown. Resolves names, and sends nothing."""
    with Apart(way) as apart:
        answer = apart.check(address)
    return Answer(answer.ok, answer.said if answer.ours else heard(answer.said, address), shown=answer.shown)


def mask(text: str, address: str, *more: str) -> str:
    """`text` without any part of `address`, or of `more`, that may be a secret, however it is spelled.

    All of the address counts but the service, the host and port, and who a mail is from and to.
    """
    parts = _parts(address) | {secret for secret in more if secret}
    for spelled in sorted({way for part in parts for way in _spellings(part)}, key=len, reverse=True):
        pattern = re.escape(spelled)
        if len(spelled) < SURE:
            pattern = rf"(?<![\w*]){pattern}(?![\w*])"
        text = re.sub(pattern, MASKED, text, flags=re.IGNORECASE)
    return text


def heard(text: str, address: str, *more: str) -> str:
    """What the far side said, masked first and cut to a line afterwards: half a secret would not be recognised."""
    text = " ".join(mask(text, address, *more).split())
    return text if len(text) <= HEARD else text[: HEARD - 1] + "…"


def _spellings(part: str) -> set[str]:
    return {part, quote(part, safe=""), quote(part), json.dumps(part)[1:-1]}


def _parts(address: str) -> set[str]:
    """The parts of an address that may be secrets, as they are written and as they are meant."""
    _, _, rest = address.strip().partition("://")
    front = re.split(r"[/?#]", rest, maxsplit=1)[0]
    login, _, place = front.rpartition("@")
    host, port = _host_and_port(place)
    # A token in the place of the host is a secret. A host has a dot, or is a number, or this machine.
    is_host = re.search(r"\.|^localhost$|^[0-9a-f]*:[0-9a-f:]*:", host.lower())
    safe = {place.lower(), host.lower(), port, *host.lower().split(":")} if is_host else {port}
    raw = set()
    for piece in re.split(r"[?&]", rest):
        name, equals, value = piece.partition("=")
        if equals and name.lower() in _NO_SECRETS:
            continue
        said = value if equals else piece
        raw |= {said, *re.split(r"[/#=@,;:+\s]+", said), *re.split(r"[/#=@\s]+", said)}
    parts = raw | {unquote(part) for part in raw} | {p for r in raw for p in re.split(r"[\s:,;/@]+", unquote(r))}
    if login:
        parts |= {unquote(login), base64.b64encode(unquote(login).encode()).decode()}
    return {part for part in parts if len(part) > 1 and part.lower() not in safe | _PLAIN}


def _host_and_port(place: str) -> tuple[str, str]:
    found = re.fullmatch(r"\[?(.*?)\]?(?::(\d+))?", place)
    return (found[1], found[2] or "") if found else (place, "")
