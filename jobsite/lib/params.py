"""Check the values of a path and of a query."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Annotated, Any, TypeVar

from django.db.models.enums import ChoicesType
from django.http import HttpRequest
from django.utils.dateparse import parse_datetime
from ninja.operation import Operation
from ninja.utils import contribute_operation_callback
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from jobsite.lib import log_context
from jobsite.lib.errors import Invalid, NotFound

#: The largest id a row can have.
MAX_ID = 2**63 - 1
#: Rows on a page of a list: unless `limit` says otherwise, and at most.
PAGE, MAX_PAGE = 100, 1000
#: Parameters that several calls have, with their types and what they are for.
SHARED: dict[str, tuple[Any, str]] = {
    "limit": (Annotated[int, Field(PAGE, ge=1, le=MAX_PAGE)], "How many to list at most."),
    "cursor": (Annotated[str, Field(pattern="^([1-9][0-9]{0,17})?$")], "`next_cursor` of the page before."),
    "since": (AwareDatetime, "Not before this moment."),
    "until": (AwareDatetime, "Before this moment."),
}


class Input(BaseModel):
    """Base of the models that check what a caller sends."""

    model_config = ConfigDict(extra="forbid", strict=True)


def number_in(text: str, most: int = MAX_ID) -> int | None:
    """Read a whole number from 0 to `most`, in ASCII digits. None: the text is none."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_ID))):
        return None
    number = int(text)
    return number if number <= most else None


def id_in(text: str, what: str) -> int:
    """Read an id from a path. NotFound, which names `what` it is, if the text cannot be one."""
    if not (number := number_in(text)):
        raise NotFound(f"There is no {what} {text[:50]!r}.")
    return number


def job_id_in(text: str) -> int:
    """Read the id of a job from a path, and bind it to the log. NotFound if the text cannot be one."""
    number = id_in(text, "job")
    log_context.bind(job=number)
    return number


def bot_id_in(text: str) -> int:
    """Read the id of a bot from a path. NotFound if the text cannot be one."""
    return id_in(text, "bot")


View = TypeVar("View", bound=Callable[..., Any])


def takes(*names: str, **own: tuple[Any, str]) -> Callable[[View], View]:
    """Declare which parameters the query of a call of the API may have. All others are refused.

    `own`: what the document of the API says of a parameter, its type and what it is for. `SHARED` are known.
    """

    def declare(view: View) -> View:
        view.takes = (*own, *names)  # type: ignore[attr-defined]
        contribute_operation_callback(view, document)
        return view

    def document(operation: Operation) -> None:
        extra = operation.openapi_extra = dict(operation.openapi_extra or {})
        described = list(extra.get("parameters", ()))
        there = {parameter["name"] for parameter in described}
        of = {name: SHARED.get(name, (str, "")) for name in names} | own
        extra["parameters"] = described + [_documented(name, *of[name]) for name in of if name not in there]

    return declare


def _documented(name: str, kind: Any, words: str) -> dict[str, Any]:
    # Several choices may have the same name in the document, and a parameter is short.
    schema = (
        {"type": "string", "enum": kind.values} if isinstance(kind, ChoicesType) else TypeAdapter(kind).json_schema()
    )
    return {"name": name, "in": "query", "description": words, "schema": schema}


def refuses_unknown(view: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a call of the API: Invalid, before anything is done, for a parameter that it does not take."""
    known: tuple[str, ...] = getattr(view, "takes", ())

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if unknown := sorted(set(request.GET) - set(known)):
            there = f"there are {', '.join(known)}" if known else "this call has none"
            raise Invalid.about(unknown[0][:100], f"there is no such parameter; {there}.")
        return view(request, *args, **kwargs)

    return wrapper


def text_in(request: HttpRequest, name: str, most: int) -> str:
    """Read a text from the query; empty when there is none. Invalid, which names it, when it cannot be stored."""
    text = request.GET.get(name, "")
    if len(text) > most or "\0" in text:
        raise Invalid.about(name, f"at most {most} characters, and no NUL.")
    return text


def moment_in(request: HttpRequest, name: str) -> datetime | None:
    """Read a moment in ISO 8601 with its offset from the query. Invalid, which names it, otherwise."""
    text = request.GET.get(name, "")
    # A plus sign that was not encoded arrives as a space.
    return moment_of(text.replace(" ", "+", 1) if "T" in text else text, name)


def period_in(request: HttpRequest) -> tuple[datetime | None, datetime | None]:
    """Read `since` and `until` from the query. Invalid, which names one, for no moments, and for a wrong order."""
    since, until = moment_in(request, "since"), moment_in(request, "until")
    if since and until and until < since:
        raise Invalid.about("until", "a time after `since`.")
    return since, until


def moment_of(text: str | None, name: str) -> datetime | None:
    """Read a moment in ISO 8601 with its offset; None for an empty text. Invalid, which names `name`, otherwise."""
    if not text:
        return None
    try:
        at = parse_datetime(text)
        if at is not None and at.tzinfo is not None:
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise Invalid.about(name, "a time in ISO 8601 with its offset, such as 2026-11-05T09:00:00Z.")


def integer(request: HttpRequest, name: str, default: int, most: int) -> int:
    """Read an integer from 1 to `most` from the query. Invalid, which names it, otherwise."""
    text = request.GET.get(name)
    if text is None or text == "":
        return default
    if not (number := number_in(text, most)):
        raise Invalid.about(name, f"a whole number from 1 to {most}.")
    return number
