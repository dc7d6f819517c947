"""Read new jobs from CSV as spreadsheets and databases write it."""

import csv
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from typing import Any

from jobs.enqueue.files import BadFile, BadLine, Utf8, max_line, numbered_lines, validate_job
from jobs.enqueue.new_job import NewJob
from jobsite.lib.bodies import Readable
from jobsite.lib.errors import BadRequest, Invalid
from jobsite.lib.strict_json import loads

COLUMNS = ("kind", "payload", "priority", "run_at", "key", "max_attempts", "group")
#: Between cells. Excel writes semicolons where the comma is the decimal sign, and tabs as “Unicode Text”.
SEPARATORS = (",", ";", "\t")
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\r?\n?\Z', re.I | re.S)
_WANTED = f"the first line names the columns: kind, and any of {', '.join(COLUMNS[1:])}"


def is_csv(name: str, start: bytes = b"") -> bool:
    """Say whether the file with this name is CSV. One called .txt is (Excel saves tabs so), if it starts as no JSON."""
    name = name.lower()
    text = start.decode("utf-16" if start.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig", "ignore")
    return name.endswith((".csv", ".tsv")) or (name.endswith(".txt") and text.lstrip()[:1] not in ("", "{", "["))


def read_csv(stream: Readable) -> Iterator[NewJob | BadLine]:
    """Read jobs: a header, then a row for each. An empty cell is a field not given; empty rows are skipped.

    The header names the columns in any order, in capitals or not. The separator is that of the header, or of a line
    `sep=;` before it. Columns without a name are skipped if they are empty. BadFile for a bad header.
    """
    csv.field_size_limit(max_line())
    text = _text(stream)
    skipped, line = 0, ""
    for line in text:
        skipped += 1
        if line.strip(" \r\n,;\t"):
            break
    separators: tuple[str, ...] = SEPARATORS
    if match := _SEPARATOR_LINE.match(line):
        separators = (match[1],)
        line = next(text, "")
        skipped += 1
    separator, header = _header(line, separators)
    rows = csv.reader(text, delimiter=separator, strict=True)
    while True:
        number = skipped + rows.line_num + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield BadLine(number, f"not CSV: {error}")
            continue
        if any(row):
            yield _parse_row(number, header, row)


def _text(stream: Readable) -> Iterator[str]:
    # Bad UTF-8 becomes lone surrogates here, and `_parse_row` refuses the row.
    for _, line in numbered_lines(Utf8(stream)):
        yield "\n" if line is None else line.decode("utf-8", "surrogateescape") + "\n"


def _header(line: str, separators: tuple[str, ...]) -> tuple[str, list[str]]:
    """Return the separator and the names of the columns. An empty name: a column that must be empty."""
    if "\r" in line.rstrip("\r\n"):
        raise BadFile("its lines end with CR alone; save it again (in Excel: “CSV UTF-8”)")
    fault = ""
    for separator in separators:
        try:
            cells = next(csv.reader([line], delimiter=separator, strict=True), [])
        except csv.Error as error:
            fault = fault or f"the header cannot be read: {error}"
            continue
        names = [cell.strip().lower() for cell in cells]
        named = [name for name in names if name]
        unknown = [name for name in named if name not in COLUMNS]
        if not unknown and "kind" in named and len(set(named)) == len(named):
            return separator, names
        if not fault or len(names) > 1:
            fault = f"unknown column {unknown[0][:100]!r}" if unknown else "a column is missing or there twice"
    raise BadFile(f"{fault}; {_WANTED}; separated by commas, semicolons or tabs")


def _parse_row(number: int, header: list[str], row: list[str]) -> NewJob | BadLine:
    if len(row) < len(header) or any(row[len(header) :]):
        return BadLine(number, f"{len(row)} cells, and the header has {len(header)}")
    value: dict[str, Any] = {}
    for name, cell in zip(header, row, strict=False):
        if not cell:
            continue
        if not name:
            return BadLine(number, f"{cell[:40]!r} is in a column without a name")
        if any("\udc80" <= c <= "\udcff" for c in cell):
            return BadLine(number, f"{name}: not UTF-8; save the file as UTF-8 (in Excel: “CSV UTF-8”)")
        if name == "payload":
            try:
                value[name] = loads(cell.encode())
            except (BadRequest, Invalid) as error:
                return BadLine(number, f"payload: {error.detail}")
        elif name in ("priority", "max_attempts") and re.fullmatch(r"[+-]?[0-9]{1,18}", cell.strip()):
            value[name] = int(cell)
        else:
            value[name] = cell
    return validate_job(number, value)
