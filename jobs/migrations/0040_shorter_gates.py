"""Hold the gate of a kind for less time, and count a lease from when it began, however long its claim waited."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"
FUNCTIONS = (SQL / "0040_shorter_gates.sql").read_text(encoding="utf-8")
#: Each function as it was, by the file that has it.
BEFORE = {
    "jobs_next_of_kind": "0038_limits.sql",
    "jobs_given": "0038_limits.sql",
    "jobs_gated": "0038_limits.sql",
    "jobs_renew": "0036_time.sql",
    "jobs_turns": "0038_limits.sql",
}


def before(name, file):
    """The text of one function in a file of several."""
    text, end = (SQL / file).read_text(encoding="utf-8"), "$function$;"
    start = text.index(f"CREATE OR REPLACE FUNCTION {name}(")
    return text[start : text.index(end, start) + len(end)]


class Migration(migrations.Migration):
    dependencies = [("jobs", "0039_limits_indexes")]

    operations = [migrations.RunSQL(FUNCTIONS, "\n".join(before(*each) for each in BEFORE.items()))]
