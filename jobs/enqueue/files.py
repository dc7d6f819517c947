"""Read new jobs from a stream, line by line: NDJSON or CSV."""

import csv
import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from pydantic import (
    TypeAdapter,
    ValidationError,
)

from jobs.enqueue.new_job import JobIn, NewJob
from jobsite.lib.bodies import Readable
from jobsite.lib.errors import BadRequest, Invalid
from jobsite.lib.strict_json import MAX_DEPTH, loads

_COLUMNS = ("kind", "payload", "priority", "run_at", "key", "max_attempts")
#: Bytes of a stream that are read at once.
CHUNK = 256 * 1024
_from_json = TypeAdapter(JobIn).validator.validate_json


class BadFile(Exception):
    """The file cannot be read: it has no header, or an unknown column."""


@dataclass(frozen=True)
class BadLine:
    """A line that is not a job: its number, from 1, and the fault."""

    number: int
    message: str


def read_ndjson(stream: Readable) -> Iterator[NewJob | BadLine]:
    """Read jobs, one JSON object a line. Skips empty lines. Holds one line in memory at a time."""
    for number, line in _lines(stream):
        if line is None:
            yield BadLine(number, f"longer than {_max_line()} bytes")
        elif line and not line.isspace():
            yield _parse_line(number, line)


def _parse_line(number: int, line: bytes) -> NewJob | BadLine:
    # The fast parser accepts nothing that the strict one refuses, which decides about the rest. The one exception: a
    # number out of range that a later value of the same name replaces.
    if line.count(b"[") + line.count(b"{") <= MAX_DEPTH:
        try:
            job: JobIn = _from_json(line)
        except ValidationError:
            pass
        else:
            return job.to_new()
    try:
        return _validate(number, loads(line))
    except (BadRequest, Invalid) as error:
        return BadLine(number, error.detail)


def read_csv(stream: Readable) -> Iterator[NewJob | BadLine]:
    """Read jobs: a header, then a row for each. An empty cell is a field not given. BadFile for a bad header."""
    csv.field_size_limit(_max_line())
    # Bad UTF-8 becomes lone surrogates here, and `_parse_row` refuses the row.
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
            yield _parse_row(number, header, row)


def _parse_row(number: int, header: list[str], row: list[str]) -> NewJob | BadLine:
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
    return _validate(number, value)


def _validate(number: int, value: Any) -> NewJob | BadLine:
    try:
        return JobIn.model_validate(value).to_new()
    except ValidationError as error:
        faults = [(".".join(str(part) for part in e["loc"])[:200], e["msg"]) for e in error.errors(include_input=False)]
        return BadLine(number, "; ".join(f"{field}: {message}" if field else message for field, message in faults))


def _max_line() -> int:
    # JSON may write a character as \u0041: six bytes for one. The rest is room for the other fields.
    return 6 * int(settings.MAX_PAYLOAD_BYTES) + 65_536


def _lines(stream: Readable) -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines without their ends; None for one that is too long, of which only a chunk is held in memory."""
    limit, number, rest, skipped = _max_line(), 0, b"", False
    while chunk := stream.read(CHUNK):
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        for line in lines:
            number += 1
            if number == 1:
                line = line.removeprefix(BOM_UTF8)
            yield number, None if skipped or len(line) > limit else line
            skipped = False
        if skipped or len(rest) > limit:
            rest, skipped = b"", True
    if skipped:
        yield number + 1, None
    elif rest:
        yield number + 1, rest.removeprefix(BOM_UTF8) if number == 0 else rest
