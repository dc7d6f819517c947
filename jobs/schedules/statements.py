"""The SQL statements of schedules, one named file each in `sql/`."""

from pathlib import Path

from jobsite.lib.sql import Statements

run = Statements(Path(__file__).parent / "sql").rows
