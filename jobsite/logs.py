"""Write each log line as one JSON object or as plain text, with its context and without secrets.

Our own lines come from structlog, those of Django and of libraries from the standard library's loggers. Both pass
through the same processors, so there is one form.
"""

import logging.config
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import structlog
from django.conf import settings
from structlog.processors import EventRenamer, JSONRenderer, format_exc_info
from structlog.stdlib import ProcessorFormatter, add_log_level, add_logger_name
from structlog.typing import EventDict, Processor

from bots import tokens
from jobsite.lib.log_context import add_context
from jobsite.lib.plain_text import one_line

#: Stands in place of a secret.
HIDDEN = "[hidden]"
_SHAPES = re.compile(
    # Our tokens and keys; whatever follows `Bearer` or `Basic`; a password in a URL.
    rf"(?P<token>{tokens.BOT_PREFIX}|{tokens.KEY_PREFIX})[A-Za-z0-9_-]+"
    r"|(?P<scheme>(?:bearer|basic)(?:\s|%20|\+)+)[A-Za-z0-9._~+/=-]+"
    r"|(?P<url>://[^\s/\"'@:]*:)[^\s/\"'@]+(?=@)",
    re.IGNORECASE,
)
#: The fields that every line has. A field of the same name cannot take their place.
STANDARD = ("time", "level", "logger", "message")
#: Those of them that have no text of others.
_SAFE = frozenset({"time", "level", "logger"})


def configure(config: dict[str, Any]) -> None:
    """Set up the standard library's logging from `LOGGING`, and structlog to write through it."""
    logging.config.dictConfig(config)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_COMMON, ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def scrub(text: str) -> str:
    """Return `text` without anything that looks like a secret, or is one of ours."""
    text = _SHAPES.sub(lambda match: (match["token"] or match["scheme"] or match["url"]) + HIDDEN, text)
    for secret in _secrets():
        text = text.replace(secret, HIDDEN)
    return text


@cache
def _secrets() -> tuple[str, ...]:
    ours = (settings.SECRET_KEY, settings.METRICS_TOKEN, settings.DATABASES["default"].get("PASSWORD", ""))
    return tuple(secret for secret in ours if len(secret) >= 6)


# --- Processors ---------------------------------------------------------------------------------------------------


def add_time(logger: Any, method: str, event: EventDict) -> EventDict:
    """Add when the line was written."""
    created = event["_record"].created
    event["time"] = datetime.fromtimestamp(created, UTC).isoformat(timespec="milliseconds")
    return event


def arrange(logger: Any, method: str, event: EventDict) -> EventDict:
    """Put the standard fields first. Leave out empty fields, and those for our own use: they begin with `_`."""
    standard = {name: event.pop(name) for name in STANDARD}
    fields = {name: value for name, value in event.items() if not name.startswith("_") and value not in (None, "")}
    return standard | fields


def redact(logger: Any, method: str, event: EventDict) -> EventDict:
    """Remove secrets from all texts of a line, also within lists and mappings. Names of fields are our own."""
    return {name: value if name in _SAFE else _redacted(value) for name, value in event.items()}


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return scrub(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {scrub(str(name)): _redacted(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(item) for item in value]
    return scrub(str(value))


def render_text(logger: Any, method: str, event: EventDict) -> str:
    """Render a line for people: the message, the fields, and a traceback below."""
    fields = " ".join(
        f"{name}={value}" for name, value in event.items() if name not in STANDARD and name != "exception"
    )
    trace = f"\n{event['exception']}" if "exception" in event else ""
    # No line but that of a traceback begins where a stranger's text likes.
    return one_line(f"{event['message']}{f' [{fields}]' if fields else ''}") + trace


#: Where a line is logged: structlog's own lines before they reach the handler, the others in the formatter.
_COMMON: list[Processor] = [add_context, add_log_level, add_logger_name, format_exc_info]
#: In the formatter, before the line is rendered.
_LAST: list[Processor] = [EventRenamer("message"), add_time, arrange, redact]


class JsonFormatter(ProcessorFormatter):
    """Format a record as one JSON object."""

    def __init__(self) -> None:
        super().__init__(processors=[*_LAST, JSONRenderer()], foreign_pre_chain=_COMMON)


class LineFormatter(ProcessorFormatter):
    """Format a record as a plain line for people. `fmt` says what stands before the fields."""

    def __init__(self, fmt: str, style: str = "%") -> None:
        super().__init__(processors=[*_LAST, render_text], foreign_pre_chain=_COMMON, fmt=fmt, style=style)
