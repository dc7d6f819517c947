"""Check the values of a path and of a query."""

from collections.abc import Collection
from datetime import UTC, datetime

from django.http import HttpRequest
from django.utils.dateparse import parse_datetime
from pydantic import BaseModel, ConfigDict

from jobsite.lib import log_context
from jobsite.lib.errors import Invalid, NotFound

#: The largest id a row can have.
MAX_ID = 2**63 - 1


class Input(BaseModel):
    """Base of the models that check what a caller sends."""

    model_config = ConfigDict(extra="forbid", strict=True)


def id_in(text: str, what: str) -> int:
    """Read an id from a path. NotFound, which names `what` it is, if the text cannot be one."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and 0 < int(text) <= MAX_ID):
        raise NotFound(f"There is no {what} {text[:50]!r}.")
    return int(text)


def job_id_in(text: str) -> int:
    """Read the id of a job from a path, and bind it to the log. NotFound if the text cannot be one."""
    number = id_in(text, "job")
    log_context.bind(job=number)
    return number


def bot_id_in(text: str) -> int:
    """Read the id of a bot from a path. NotFound if the text cannot be one."""
    return id_in(text, "bot")


def only_known(request: HttpRequest, known: Collection[str]) -> None:
    """Raise Invalid if the query has a parameter that the call does not know."""
    unknown = sorted(set(request.GET) - set(known))
    if unknown:
        name = unknown[0][:100]
        raise Invalid(f"{name}: there is no such filter; there are {', '.join(known)}.")


def text_in(request: HttpRequest, name: str, most: int) -> str:
    """Read a text from the query; empty when there is none. Invalid, which names it, when it cannot be stored."""
    text = request.GET.get(name, "")
    if len(text) > most or "\0" in text:
        raise Invalid(f"{name}: at most {most} characters, and no NUL.")
    return text


def moment_in(request: HttpRequest, name: str) -> datetime | None:
    """Read a moment in ISO 8601 with its offset from the query. Invalid, which names it, otherwise."""
    text = request.GET.get(name)
    if not text:
        return None
    try:
        # A plus sign that was not encoded arrives as a space.
        at = parse_datetime(text.replace(" ", "+", 1) if "T" in text else text)
        if at is not None and at.tzinfo is not None:
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise Invalid(f"{name}: a time in ISO 8601 with its offset, such as 2026-11-05T09:00:00Z.")


def integer(request: HttpRequest, name: str, default: int, most: int) -> int:
    """Read an integer from 1 to `most` from the query. Invalid, which names it, otherwise."""
    text = request.GET.get(name)
    if text is None or text == "":
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and 1 <= int(text) <= most):
        raise Invalid(f"{name}: a whole number from 1 to {most}.")
    return int(text)
