"""Reading the tables of the docs."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def text_of(name):
    """A page of the docs, or another file, by its path in the project."""
    return (ROOT / name).read_text(encoding="utf-8")


def table(name, *header):
    """The rows below the table header that begins with these cells: one dict a row."""
    lines = text_of(name).splitlines()
    for number, line in enumerate(lines):
        columns = _cells(line)
        if tuple(columns[: len(header)]) == header:
            rows = []
            for row in lines[number + 2 :]:
                if not row.startswith("|"):
                    break
                cells = _cells(row)
                assert len(cells) == len(columns), row
                rows.append(dict(zip(columns, cells, strict=True)))
            return rows
    raise AssertionError(f"{name} has no table with the columns {header}")


def words(cell):
    """What stands in backticks in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def word(cell):
    """The one thing in backticks in a cell."""
    (only,) = words(cell)
    return only


def _cells(line):
    # A vertical bar inside a cell is written \|.
    if not line.startswith("|"):
        return []
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
