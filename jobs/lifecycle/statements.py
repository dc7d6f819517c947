"""The lifecycle's SQL statements and database functions, one named file each in `sql/`."""

from pathlib import Path

from jobsite.lib.sql import Statements

SQL = Statements(Path(__file__).parent / "sql")
run = SQL.rows

#: The functions that migrations put into the database, by the file that has each.
FUNCTIONS = {"exchange": "jobs_turns", "guard_bot": "jobs_guard_bot", "guard_kind": "jobs_guard_kind"}
#: Those of them that are triggers, by the table each must be on.
TRIGGERS = {"guard_bot": "bots_bot", "guard_kind": "jobs_jobkind"}
