"""The statements the ORM cannot say, one named file each.

`{name}` in a file stands for the file `name.sql`, which begins with a comment in /* */ and is shared by several
statements, or for a blank that the caller fills in.
"""

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
#: Blanks that are parameters of the statement, unless they are filled with something else.
PARAMETERS = ("run_within",)


@cache
def statement(name: str, **blanks: str) -> str:
    """The SQL in `<name>.sql`, with its shared parts and `blanks` filled in. Parameters are psycopg's `%(name)s`."""
    text = (HERE / f"{name}.sql").read_text(encoding="utf-8")
    return re.sub(r"\{(\w+)\}", lambda found: _fill(found[1], blanks), text)


class Numbered(NamedTuple):
    """A statement with `$1`, `$2` … in place of its parameters' names, which are listed in that order."""

    text: str
    names: tuple[str, ...]


@cache
def numbered(name: str) -> Numbered:
    """The same as psycopg's `RawCursor` takes it: nothing is left to be read and replaced at each call."""
    names: dict[str, int] = {}
    text = re.sub(r"%\((\w+)\)s", lambda found: f"${names.setdefault(found[1], len(names) + 1)}", statement(name))
    return Numbered(re.sub(r"--[^\n]*|\s+", " ", text).strip(), tuple(names))


#: The functions that migrations put into the database, by the file that has each.
FUNCTIONS = {"exchange": "jobs_turns", "guard_bot": "jobs_guard_bot", "guard_kind": "jobs_guard_kind"}
#: Those of them that are triggers, by the table each must be on.
TRIGGERS = {"guard_bot": "bots_bot", "guard_kind": "jobs_jobkind"}


def function(name: str) -> str:
    """The SQL that makes the function in `<name>.sql`, or replaces it: what `check_schema` compares.

    A migration runs a copy of its own, under `jobs/migrations/sql/`, so that it does for ever what it did.
    """
    # Inside a function the parameter of `deadline.sql` is one of the function's own.
    return statement(name, run_within="run_within_default")


def digest(body: str) -> str:
    """A short name for the body of a function, to tell one from another: only its words count, not its layout."""
    return hashlib.sha256(" ".join(body.split()).encode()).hexdigest()[:12]


def body(name: str) -> str:
    """What PostgreSQL keeps of the function in `<name>.sql` as its source."""
    return function(name).split("$function$")[1]


def _fill(name: str, blanks: dict[str, str]) -> str:
    if name in blanks:
        return blanks[name]
    if name in PARAMETERS:
        return f"%({name})s"
    return statement(name, **blanks).strip()
