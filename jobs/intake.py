"""What producers send becomes new jobs: one job, or a stream of them line by line. The same rules at every door."""

import csv
import json
import math
import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Protocol

from django.conf import settings
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import PydanticCustomError, to_json

from bots.models import NAME_LENGTH
from jobs.errors import BadRequest, Invalid
from jobs.models import KEY_LENGTH, KIND_PATTERN, MAX_ATTEMPTS_LIMIT, PRIORITY_LIMIT
from jobs.rows import NewJob

#: How deep JSON may be nested. PostgreSQL and Python both take more; nothing that is meant does.
MAX_DEPTH = 100
#: Moments outside these years cannot be shown in every time zone, and nobody means them.
YEARS = (1970, 9000)

_COLUMNS = ("kind", "payload", "priority", "run_at", "key", "max_attempts")
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_SQUARE, _NO_BRACKET = bytes.maketrans(b"{}", b"[]"), bytes(c for c in range(256) if c not in b"[]{}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")


# --- JSON ---------------------------------------------------------------------------------------------------------


def loads(text: bytes) -> Any:
    """JSON in UTF-8, with nothing in it that PostgreSQL cannot keep.

    BadRequest when it is not JSON (NaN and Infinity are not), is nested too deep or has a number out of range;
    Invalid, naming the place, for a NUL character or half of a surrogate pair.
    """
    try:
        value = json.loads(text.decode("utf-8"), parse_constant=_no_constant, parse_float=_finite)
    except UnicodeDecodeError as error:
        raise BadRequest(f"This is not UTF-8: byte {error.start + 1} cannot be read.") from None
    except json.JSONDecodeError as error:
        raise BadRequest(f"This is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise BadRequest(f"The JSON is nested deeper than {MAX_DEPTH} levels.") from None
    except ValueError:
        # Python reads no integer of more than 4 300 digits, and PostgreSQL keeps none of more than 131 072.
        raise BadRequest("The JSON has a number with too many digits.") from None
    # Nearly everything has none of these, and then there is nothing to walk through.
    if b"\\u0000" in text or b"\\ud" in text or b"\\uD" in text or _deep(text):
        fault = _fault(value)
        if fault is not None and fault.deep:
            raise BadRequest(f"The JSON is nested deeper than {MAX_DEPTH} levels.")
        if fault is not None:
            raise _invalid(fault.place or "body", fault.message)
    return value


#: What makes a closer look at JSON worth while: NUL, half of a surrogate pair, a number that may be out of range.
_DOUBTFUL = re.compile(rb"\\u0000|\\u[dD][89a-fA-F]|[eE][+-]?[0-9]{3}|[0-9]{300}|NaN|Infinity")


def is_plain(text: bytes) -> bool:
    """Whether JSON in `text` surely holds nothing that `loads` would refuse, beyond what any parser refuses.

    False may be a false alarm (a text that looks like a large number, say); then `loads` is to be asked.
    """
    return not _DOUBTFUL.search(text) and not _deep(text)


def _deep(text: bytes) -> bool:
    """Whether JSON that could be read is nested deeper than it may be."""
    if text.count(b"[") + text.count(b"{") <= MAX_DEPTH:
        return False
    # Only the brackets, all of one sort; then the innermost pairs go, level by level.
    brackets = _STRING.sub(b"", text).translate(_SQUARE, _NO_BRACKET)
    for _ in range(MAX_DEPTH):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)


def check_json(value: Any, field: str, max_bytes: int) -> None:
    """Invalid, naming `field`, when PostgreSQL could not keep `value` as JSON or it is longer than `max_bytes`."""
    fault = _fault(value, max_bytes)
    if fault is not None:
        separator = "" if not fault.place or fault.place.startswith("[") else "."
        raise _invalid(f"{field}{separator}{fault.place}", fault.message)


@dataclass(frozen=True)
class _Fault:
    """What is wrong with a JSON value, and where in it."""

    place: str
    message: str
    deep: bool = False


def _invalid(field: str, message: str) -> Invalid:
    return Invalid(f"{field}: {message}", errors=[{"field": field, "message": message}])


def _no_constant(name: str) -> Any:
    raise BadRequest(f"This is not JSON: {name} is not a JSON number.")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise BadRequest(f"The JSON has a number that is out of range: {text[:40]}.")
    return number


def _fault(value: Any, max_bytes: int | None = None) -> _Fault | None:
    """The first thing in `value` that cannot be kept. A loop and no recursion: the nesting is the caller's."""
    # A place is a linked list (parent, key), so that it costs nothing until somebody asks.
    todo: list[tuple[Any, int, Any]] = [(value, 0, None)]
    while todo:
        item, depth, place = todo.pop()
        if isinstance(item, str):
            if message := _unkeepable(item):
                return _Fault(_name(place), message)
        elif isinstance(item, dict | list):
            if depth == MAX_DEPTH:
                return _Fault("", f"nested deeper than {MAX_DEPTH} levels", deep=True)
            if isinstance(item, dict):
                for key in item:
                    if message := _unkeepable(key):
                        return _Fault(_name(place), f"a name in it {message.removeprefix('it ')}")
            pairs = item.items() if isinstance(item, dict) else enumerate(item)
            todo.extend((child, depth + 1, (place, key)) for key, child in pairs)
        elif isinstance(item, float) and not math.isfinite(item):
            return _Fault(_name(place), f"{item} is not a JSON number")
    if max_bytes is not None:
        size = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
        if size > max_bytes:
            return _Fault("", f"too long: {size} bytes, at most {max_bytes}")
    return None


def _plain(value: Any, max_bytes: int) -> bool:
    """Whether a quick look finds `value` good. Nearly everything is; `_fault` has the last word on the rest."""
    try:
        text = to_json(value)
    except ValueError:
        return False
    # Numbers may be written in more than one way, none of them twice as long as another.
    return (
        2 * len(text) <= max_bytes
        and text.count(b"[") + text.count(b"{") <= MAX_DEPTH
        and not (b"\\u0000" in text or b"NaN" in text or b"Infinity" in text)
    )


def _unkeepable(text: str) -> str:
    if "\0" in text:
        return "it holds a NUL character, which PostgreSQL cannot keep"
    # isascii() is one look at a flag, and encoding is only for the rest.
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        return "it holds half of a surrogate pair, which is not a character"
    return ""


def _name(place: Any) -> str:
    parts: list[str] = []
    while place is not None:
        place, key = place
        parts.append(f"[{key}]" if isinstance(key, int) else f".{key}")
    return "".join(reversed(parts)).removeprefix(".")[:200]


# --- One job ------------------------------------------------------------------------------------------------------


def _json_payload(value: Any) -> Any:
    if _plain(value, settings.MAX_PAYLOAD_BYTES):
        return value
    fault = _fault(value, settings.MAX_PAYLOAD_BYTES)
    if fault is not None:
        at = f"at {fault.place}: " if fault.place else ""
        raise PydanticCustomError("json", "{fault}", {"fault": at + fault.message})
    return value


def _iso(value: Any) -> Any:
    # Pydantic would take numbers, and text with a number in it, as seconds since 1970.
    if value is not None and not (isinstance(value, datetime) or (isinstance(value, str) and _DATE.match(value))):
        raise PydanticCustomError("iso", "Use an ISO 8601 time with its offset, such as 2026-11-05T09:00:00Z")
    return value


def _sane(moment: datetime) -> datetime:
    if not YEARS[0] < moment.year < YEARS[1]:
        raise PydanticCustomError("year", "Use a time between the years {0} and {1}", {"0": YEARS[0], "1": YEARS[1]})
    return moment.astimezone(UTC)


def _no_nul(text: str) -> str:
    if message := _unkeepable(text):
        raise PydanticCustomError("nul", "{fault}", {"fault": message})
    return text


class JobIn(BaseModel):
    """A job as producers send it. Unknown fields and wrong types are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)

    # Rust's `$` is the very end of the text, which Python writes `\Z`.
    kind: str = Field(min_length=1, max_length=NAME_LENGTH, pattern=KIND_PATTERN.replace(r"\Z", "$"), examples=["sum"])
    payload: Annotated[Any, AfterValidator(_json_payload)] = Field(default_factory=dict, description="Any JSON.")
    priority: int = Field(0, ge=-PRIORITY_LIMIT, le=PRIORITY_LIMIT, description="Higher goes first.")
    run_at: Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_iso), AfterValidator(_sane)] | None = Field(
        None, description="Not before this moment. Without it: now."
    )
    key: Annotated[str, Field(min_length=1, max_length=KEY_LENGTH), AfterValidator(_no_nul)] | None = Field(
        None, description="The same key of the same kind is the same job."
    )
    max_attempts: int | None = Field(None, ge=1, le=MAX_ATTEMPTS_LIMIT, description="Without it: the kind's.")

    def to_new(self) -> NewJob:
        """What `lifecycle.enqueue` takes."""
        return NewJob(self.kind, self.payload, self.priority, self.run_at, self.key, self.max_attempts)


# --- A stream of them -----------------------------------------------------------------------------------------

#: How much of a stream is read at once.
CHUNK = 256 * 1024

_from_json = TypeAdapter(JobIn).validator.validate_json


class Readable(Protocol):
    """Where bytes come from: at most so many at once, none at the end."""

    def read(self, size: int, /) -> bytes: ...


class BadFile(Exception):
    """The file as a whole cannot be read: no header, or a column nobody knows."""


@dataclass(frozen=True)
class BadLine:
    """A line that is not a job: its number, from 1, and what is wrong with it."""

    number: int
    message: str


def read_ndjson(stream: Readable) -> Iterator[NewJob | BadLine]:
    """The jobs in `stream`, one JSON object a line. Empty lines are left out. Holds one line in memory at a time."""
    for number, line in _lines(stream):
        if line is None:
            yield BadLine(number, f"longer than {_longest()} bytes")
        elif line and not line.isspace():
            yield _on_line(number, line)


def _on_line(number: int, line: bytes) -> NewJob | BadLine:
    # What the quick way takes, the careful way would take, too, and what it does not take the careful way decides.
    # (But one: a number out of range that a later value of the same name replaces.)
    if line.count(b"[") + line.count(b"{") <= MAX_DEPTH:
        try:
            job: JobIn = _from_json(line)
        except ValidationError:
            pass
        else:
            return job.to_new()
    try:
        return _job(number, loads(line))
    except (BadRequest, Invalid) as error:
        return BadLine(number, error.detail)


def read_csv(stream: Readable) -> Iterator[NewJob | BadLine]:
    """The jobs in `stream`: a header, then a row for each. An empty cell is a field not given. BadFile: the header."""
    csv.field_size_limit(_longest())
    # Bad UTF-8 becomes lone surrogates here, and is refused below, on the row it is in.
    text = ("" if line is None else line.decode("utf-8", "surrogateescape") + "\n" for _, line in _lines(stream))
    rows = csv.reader(text, strict=True)
    try:
        header = [name.strip() for name in next(rows, [])]
    except csv.Error as error:
        raise BadFile(f"the header cannot be read: {error}") from None
    unknown = [name for name in header if name not in _COLUMNS]
    if unknown or "kind" not in header or len(set(header)) < len(header):
        what = f"unknown column {unknown[0]!r}" if unknown else "a column is missing or there twice"
        raise BadFile(f"{what}; the first line names the columns: kind, and any of {', '.join(_COLUMNS[1:])}")
    while True:
        number = rows.line_num + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield BadLine(number, f"not CSV: {error}")
            continue
        if row:
            yield _row(number, header, row)


def _row(number: int, header: list[str], row: list[str]) -> NewJob | BadLine:
    if len(row) != len(header):
        return BadLine(number, f"{len(row)} cells, and the header has {len(header)}")
    value: dict[str, Any] = {}
    for name, cell in zip(header, row, strict=True):
        if not cell:
            continue
        if any("\udc80" <= c <= "\udcff" for c in cell):
            return BadLine(number, f"{name}: not UTF-8")
        if name == "payload":
            try:
                value[name] = loads(cell.encode())
            except (BadRequest, Invalid) as error:
                return BadLine(number, f"payload: {error.detail}")
        elif name in ("priority", "max_attempts") and re.fullmatch(r"[+-]?[0-9]{1,18}", cell.strip()):
            value[name] = int(cell)
        else:
            value[name] = cell
    return _job(number, value)


def _job(number: int, value: Any) -> NewJob | BadLine:
    try:
        return JobIn.model_validate(value).to_new()
    except ValidationError as error:
        found = [(".".join(str(part) for part in e["loc"])[:200], e["msg"]) for e in error.errors(include_input=False)]
        return BadLine(number, "; ".join(f"{field}: {message}" if field else message for field, message in found))


def _longest() -> int:
    # In JSON a character may be written as \u0041: six bytes for one. The rest is room for the other fields.
    return 6 * int(settings.MAX_PAYLOAD_BYTES) + 65_536


def _lines(stream: Readable) -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines without their ends; None for one that is too long, whose rest is skipped unread into memory."""
    most, number, rest, skipped = _longest(), 0, b"", False
    while chunk := stream.read(CHUNK):
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        for line in lines:
            number += 1
            if number == 1:
                line = line.removeprefix(BOM_UTF8)
            yield number, None if skipped or len(line) > most else line
            skipped = False
        if skipped or len(rest) > most:
            rest, skipped = b"", True
    if skipped:
        yield number + 1, None
    elif rest:
        yield number + 1, rest.removeprefix(BOM_UTF8) if number == 0 else rest
