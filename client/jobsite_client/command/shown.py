"""Print answers: tables and sentences for people, JSON for scripts. Text of strangers cannot command a terminal."""

import json
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from ..tries import which_try


def one_line(value: object) -> str:
    r"""The text on one line, each character that cannot be seen as an escape: `\n`, `\x1b`."""
    text = cell(value)
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in text)


def cell(value: object) -> str:
    """A value in words."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")
    if isinstance(value, dict | list):
        return as_json(value)
    return str(value)


def as_json(value: object) -> str:
    """JSON in ASCII, on one line."""
    return json.dumps(value, default=_moment)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table. On a terminal its last column ends at the edge."""
    lines = [[*map(one_line, row)] for row in rows]
    lines.insert(0, [name.upper() for name in header])
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    most = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    for line in lines:
        padded = [text + " " * (width - _width(text)) for text, width in zip(line, widths, strict=True)]
        shown = "  ".join(padded).rstrip()
        print(_cut(shown, most) if most else shown)


def fields(answer: Mapping[str, Any]) -> None:
    """Print one thing, a field on each line; what has no value is left out."""
    known = {name: value for name, value in answer.items() if value not in (None, "", [])}
    if "attempt" in known:
        known["attempt"] = which_try(known["attempt"])
    width = max(map(len, known), default=0)
    for name, value in known.items():
        print(f"{name:{width}}  {one_line(value)}")


def warn(text: object) -> None:
    """Print a line on standard error."""
    print(one_line(text), file=sys.stderr)


def _moment(value: object) -> str:
    if not isinstance(value, datetime):
        raise TypeError(f"{value!r} is no JSON")
    return value.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _width(text: str) -> int:
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _cut(text: str, most: int) -> str:
    if _width(text) <= most:
        return text
    kept, width = "", 1
    for character in text:
        width += _columns(character)
        if width > most:
            break
        kept += character
    return kept + "…"


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()
