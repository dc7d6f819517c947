"""The lifecycle's SQL statements and database functions, one named file each in `sql/`."""

from datetime import timedelta
from pathlib import Path

from jobs import attempts, backoff, suspicion, uniqueness
from jobs.bounds import RATE_SLOTS
from jobsite.lib.sql import Statements

#: Inside a function the parameter of `deadline.sql` is one of the function's own, and no event is an operator's.
IN_FUNCTIONS = {"run_within": "run_within_default", "audit_column": "", "audit_value": ""}


def _interval(time: timedelta) -> str:
    return f"interval '{time.total_seconds():g} s'"


SQL = Statements(
    Path(__file__).parent / "sql",
    IN_FUNCTIONS,
    doublings=str(backoff.MAX_DOUBLINGS),
    jitter=str(backoff.JITTER),
    epoch=str(attempts.EPOCH),
    slots=str(RATE_SLOTS),
    holds_key=uniqueness.HOLDS_KEY_SQL,
    takes_key=uniqueness.TAKES_KEY_SQL,
    first_probe=_interval(suspicion.FIRST_PROBE),
    longest_probe=_interval(suspicion.LONGEST_PROBE),
    probe_doublings=str(suspicion.MAX_DOUBLINGS),
    audit_column=", audit_id",
    audit_value=", %(audit)s::bigint",
)
run = SQL.rows

#: The functions of gates and of a bot's turn, each before those that call it.
GATE_FUNCTIONS = (
    "jobs_rate", "jobs_started", "jobs_room", "jobs_of_group", "jobs_due_next", "jobs_sleep", "jobs_shut", "jobs_round",
    "jobs_open", "jobs_next_of_kind", "jobs_given", "jobs_gated",
)  # fmt: skip
TURN_FUNCTIONS = (
    *GATE_FUNCTIONS, "jobs_moment", "jobs_fail", "jobs_renew", "jobs_refuse", "jobs_touch_bots", "jobs_turns",
)  # fmt: skip
#: The functions that migrations put into the database, by the file that has each.
FUNCTIONS = {name: name for name in (*TURN_FUNCTIONS, "jobs_error_words")} | {
    "guard_bot": "jobs_guard_bot",
    "guard_kind": "jobs_guard_kind",
    "guard_limits": "jobs_guard_limits",
}
#: Those of them that are triggers, by the table each must be on.
TRIGGERS = {"guard_bot": "bots_bot", "guard_kind": "jobs_jobkind", "guard_limits": "jobs_jobkind"}
