"""The SQL statements that create jobs, one named file each in `sql/`."""

from pathlib import Path

from jobsite.lib.sql import Statements

SQL = Statements(Path(__file__).parent / "sql")
run = SQL.rows
