"""The SQL statements of statistics, one named file each in `sql/`."""

from pathlib import Path

from jobs.limits import CLOSED_SQL
from jobsite.lib.sql import Statements

SQL = Statements(Path(__file__).parent / "sql", closed=CLOSED_SQL)
run = SQL.rows
