"""Named SQL statements, one file each, in a folder beside the package that uses them.

`{name}` in a file stands for the file `name.sql` of the same folder, which begins with a comment in /* */ and is shared
by several statements, or for a blank that the caller fills in. Parameters are psycopg's `%(name)s`.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jobsite.lib import source

#: Blanks that are parameters of the statement, unless they are filled with something else.
PARAMETERS = ("run_within",)


class Numbered(NamedTuple):
    """A statement with `$1`, `$2` … in place of its parameters' names, which are listed in that order."""

    text: str
    names: tuple[str, ...]


class Statements:
    """The statements of one folder."""

    def __init__(self, folder: Path, in_functions: Mapping[str, str] | None = None, **constants: str) -> None:
        self.folder = folder
        #: What blanks are inside a function of the database, where they are not what they are in a statement.
        self.in_functions = in_functions or {}
        #: Blanks that are the same in every statement.
        self.constants = constants

    @cache  # noqa: B019  one for each package, for the life of the process
    def text(self, name: str, **blanks: str) -> str:
        """The SQL in `<name>.sql`, with its shared parts and `blanks` filled in."""
        text = self._path(name).read_text(encoding="utf-8")
        return re.sub(r"\{(\w+)\}", lambda match: self._fill(match[1], blanks), text)

    @cache  # noqa: B019
    def numbered(self, name: str) -> Numbered:
        """The same as psycopg's `RawCursor` takes it: nothing is left to be read and replaced at each call."""
        names: dict[str, int] = {}
        text = re.sub(r"%\((\w+)\)s", lambda match: f"${names.setdefault(match[1], len(names) + 1)}", self.text(name))
        return Numbered(re.sub(r"--[^\n]*|\s+", " ", text).strip(), tuple(names))

    def rows(self, name: str, **params: Any) -> list[dict[str, Any]]:
        """Run a statement and return one dict for each row. A parameter `rows` is passed as JSON."""
        if "rows" in params:
            params["rows"] = json.dumps(params["rows"], allow_nan=False)
        with source.connection().cursor() as cursor:
            cursor.execute(self.text(name), params)
            if cursor.description is None:
                return []
            columns = [column.name for column in cursor.description]
            return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]

    def function(self, name: str) -> str:
        """The SQL that creates or replaces the database function in `<name>.sql`."""
        return self.text(name, **self.in_functions)

    def body(self, name: str) -> str:
        """What PostgreSQL keeps of the function in `<name>.sql` as its source."""
        return self.function(name).split("$function$")[1]

    def _path(self, name: str) -> Path:
        """Where a statement, fragment or function is: functions of the database have a folder of their own."""
        path = self.folder / f"{name}.sql"
        return path if path.exists() else self.folder / "functions" / f"{name}.sql"

    def _fill(self, name: str, blanks: dict[str, str]) -> str:
        blanks = {**self.constants, **blanks}
        if name in blanks:
            return blanks[name]
        if name in PARAMETERS:
            return f"%({name})s"
        # Without the comment that it begins with.
        return re.sub(r"\A/\*.*?\*/\s*", "", self.text(name, **blanks), flags=re.DOTALL).strip()


def digest(body: str) -> str:
    """A short name for the body of a function, to tell one from another: only its words count, not its layout."""
    return hashlib.sha256(" ".join(body.split()).encode()).hexdigest()[:12]
