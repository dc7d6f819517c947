"""How log lines look: one JSON object each, or plain lines; with what `jobsite.lib.log_context` has, never a token."""

import logging
import re
from datetime import UTC, datetime
from functools import cache
from typing import Any

from django.conf import settings
from pythonjsonlogger.json import JsonFormatter as _JsonFormatter

from bots import tokens
from jobsite.lib import log_context

#: What is left of a secret.
HIDDEN = "[hidden]"
_SHAPES = re.compile(
    # Our tokens and keys; whatever follows `Bearer` or `Basic`; a password in a URL.
    rf"(?P<token>{tokens.BOT_PREFIX}|{tokens.KEY_PREFIX})[A-Za-z0-9_-]+"
    r"|(?P<scheme>(?:bearer|basic)(?:\s|%20|\+)+)[A-Za-z0-9._~+/=-]+"
    r"|(?P<url>://[^\s/\"'@:]*:)[^\s/\"'@]+(?=@)",
    re.IGNORECASE,
)


def scrub(text: str) -> str:
    """`text` without anything that looks like a secret, or is one of ours."""
    text = _SHAPES.sub(lambda found: (found["token"] or found["scheme"] or found["url"]) + HIDDEN, text)
    for secret in _secrets():
        text = text.replace(secret, HIDDEN)
    return text


@cache
def _secrets() -> tuple[str, ...]:
    ours = (settings.SECRET_KEY, settings.METRICS_TOKEN, settings.DATABASES["default"].get("PASSWORD", ""))
    return tuple(secret for secret in ours if len(secret) >= 6)


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What the line says beside its message: of the request, sweep or command, and of itself.

    Nothing else that libraries hang on a record: Django's own has the whole request.
    """
    said = {**log_context.bound(), **getattr(record, "said", {})}
    return {name: value for name, value in said.items() if not name.startswith("_") and value not in (None, "")}


class JsonFormatter(_JsonFormatter):
    """One JSON object a line."""

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """The fields that every line has, then its own; these cannot take the place of those."""
        log_data["time"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        log_data["level"] = record.levelname.lower()
        log_data["logger"] = record.name
        log_data["message"] = record.message
        for name, value in fields_of(record).items():
            log_data.setdefault(name, value)
        if message_dict.get("exc_info"):
            log_data["exception"] = message_dict["exc_info"]

    def format(self, record: logging.LogRecord) -> str:
        """The line, scrubbed."""
        return scrub(super().format(record))


class LineFormatter(logging.Formatter):
    """A plain line, for people: the message and then the fields."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's own name
        """The line before any traceback."""
        fields = " ".join(f"{name}={value}" for name, value in fields_of(record).items())
        return super().formatMessage(record) + (f" [{fields}]" if fields else "")

    def format(self, record: logging.LogRecord) -> str:
        """The line, scrubbed."""
        return scrub(super().format(record))
