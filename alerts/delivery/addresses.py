"""Check channel addresses, and mask their secrets in everything that is shown.

The shown form of an address is made once, when it is saved: the service and, if the address has one, the host. Text
from the receiver or from a library is masked before it is shown or stored.
"""

import base64
import json
import re
from urllib.parse import quote, unquote

from alerts.delivery.process import SendResult, WorkerProcess

#: The replacement for a secret.
MASKED = "****"
#: Shorter secrets are masked only as whole words, so that ordinary text stays readable.
MASK_ANYWHERE_FROM = 6
#: Common words in addresses that are never secrets.
_PUBLIC_WORDS = {
    "true", "false", "yes", "no", "post", "get", "put", "text", "html", "markdown", "hooks", "services", "api", "www",
    "http", "https", "smtp", "mode", "from", "name", "user", "pass", "port", "method", "format", "webhook",
}  # fmt: skip

#: Parameters for a mail's sender, recipients and server.
_PUBLIC_PARAMETERS = {"from", "to", "cc", "bcc", "reply", "smtp"}
#: How much of the receiver's answer is stored, in characters.
ANSWER_LENGTH = 200

EXAMPLES = (
    "mailto://USER:PASSWORD@mail.example.org?from=jobs@example.org&to=ops@example.org",
    "slack://TOKEN_A/TOKEN_B/TOKEN_C/#ops",
    "tgram://BOT_TOKEN/CHAT_ID",
    "pagerduty://INTEGRATION_KEY@API_KEY",
    "workflows://HOST/WORKFLOW/SIGNATURE (Teams)",
)


def check(way: str, address: str) -> SendResult:
    """Check whether a channel may use this address. Resolves host names, sends nothing. `shown`: its masked form."""
    with WorkerProcess(way) as worker:
        result = worker.check(address)
    detail = result.detail if result.is_ours else mask_and_cut(result.detail, address)
    return SendResult(result.ok, detail, shown=result.shown)


def mask(text: str, address: str, *secrets: str) -> str:
    """Replace every part of `address` and of `secrets` in `text` that may be secret, in any encoding.

    Not secret: the service, host and port, and a mail's sender and recipients.
    """
    parts = _parts(address) | {secret for secret in secrets if secret}
    for secret in sorted({spelling for part in parts for spelling in _spellings(part)}, key=len, reverse=True):
        pattern = re.escape(secret)
        if len(secret) < MASK_ANYWHERE_FROM:
            pattern = rf"(?<![\w*]){pattern}(?![\w*])"
        text = re.sub(pattern, MASKED, text, flags=re.IGNORECASE)
    return text


def mask_and_cut(text: str, address: str, *secrets: str) -> str:
    """Mask the receiver's answer, then cut it to one line. The other order could leave half a secret unmasked."""
    text = " ".join(mask(text, address, *secrets).split())
    return text if len(text) <= ANSWER_LENGTH else text[: ANSWER_LENGTH - 1] + "…"


def _spellings(part: str) -> set[str]:
    return {part, quote(part, safe=""), quote(part), json.dumps(part)[1:-1]}


def _parts(address: str) -> set[str]:
    """The parts of an address that may be secret, encoded and decoded."""
    _, _, rest = address.strip().partition("://")
    front = re.split(r"[/?#]", rest, maxsplit=1)[0]
    login, _, place = front.rpartition("@")
    host, port = _host_and_port(place)
    # Some services have a token in place of the host. A real host has a dot, is an IP address, or is localhost.
    is_host = re.search(r"\.|^localhost$|^[0-9a-f]*:[0-9a-f:]*:", host.lower())
    safe = {place.lower(), host.lower(), port, *host.lower().split(":")} if is_host else {port}
    raw = set()
    for piece in re.split(r"[?&]", rest):
        name, equals, value = piece.partition("=")
        if equals and name.lower() in _PUBLIC_PARAMETERS:
            continue
        text = value if equals else piece
        raw |= {text, *re.split(r"[/#=@,;:+\s]+", text), *re.split(r"[/#=@\s]+", text)}
    parts = raw | {unquote(part) for part in raw} | {p for r in raw for p in re.split(r"[\s:,;/@]+", unquote(r))}
    if login:
        parts |= {unquote(login), base64.b64encode(unquote(login).encode()).decode()}
    return {part for part in parts if len(part) > 1 and part.lower() not in safe | _PUBLIC_WORDS}


def _host_and_port(place: str) -> tuple[str, str]:
    match = re.fullmatch(r"\[?(.*?)\]?(?::(\d+))?", place)
    return (match[1], match[2] or "") if match else (place, "")
