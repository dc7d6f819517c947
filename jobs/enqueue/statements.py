"""The SQL statements that create jobs, one named file each in `sql/`."""

from pathlib import Path

from jobs.uniqueness import HOLDS_KEY_SQL
from jobsite.lib.sql import Statements

SQL = Statements(Path(__file__).parent / "sql", holds_key=HOLDS_KEY_SQL)
run = SQL.rows
