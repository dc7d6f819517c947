"""The statements the ORM cannot say, one named file each.

`{deadline}` in a file stands for `deadline.sql`, the one definition of when the sweep must look at a lease.
"""

from functools import cache
from pathlib import Path

HERE = Path(__file__).parent


@cache
def statement(name: str) -> str:
    """The SQL in `<name>.sql`, with `{deadline}` filled in. Parameters are psycopg's `%(name)s`."""
    text = (HERE / f"{name}.sql").read_text(encoding="utf-8")
    if "{deadline}" in text:
        text = text.replace("{deadline}", (HERE / "deadline.sql").read_text(encoding="utf-8").strip())
    return text
