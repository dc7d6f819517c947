"""The SQL statements of the sweep, one named file each in `sql/`."""

from pathlib import Path

from bots.health import UNHEALTHY_AT
from jobsite.lib.sql import Statements

run = Statements(Path(__file__).parent / "sql", unhealthy_at=str(UNHEALTHY_AT)).rows
