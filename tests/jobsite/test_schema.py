"""The constraints in the database are compared with those in the code."""

from io import StringIO

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from jobs.lifecycle.statements import FUNCTIONS, SQL
from jobsite import schema

pytestmark = pytest.mark.django_db


def sql(text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(text)


def only_two_grades() -> None:
    """The fault this system began with."""
    sql("ALTER TABLE bots_bot DROP CONSTRAINT bot_health_status_valid")
    sql(
        "ALTER TABLE bots_bot ADD CONSTRAINT bot_health_status_valid "
        "CHECK (health_status IN ('normal', 'potentially_stuck'))"
    )


def errors() -> list[str]:
    """What the system check says."""
    found = [e for e in run_checks(databases=["default"]) if e.id == "jobsite.E001"]
    assert all(e.hint for e in found)
    return [e.msg for e in found]


def check_schema() -> tuple[int, str]:
    """The exit code and the output of `manage.py check_schema`."""
    out = StringIO()
    try:
        call_command("check_schema", stdout=out)
    except CommandError as error:
        return error.returncode, out.getvalue()
    return 0, out.getvalue()


def test_a_migrated_database_has_what_the_code_says() -> None:
    assert errors() == []


def test_check_schema_says_ok_for_every_constraint_of_a_migrated_database() -> None:
    code, said = check_schema()
    lines = [line for line in said.splitlines() if line.startswith("[")]
    assert code == 0
    assert {line.split()[0] for line in lines} == {"[OK]"}
    named = {line.split()[2].rstrip(":") for line in lines}
    assert {"bot_health_status_valid", "job_held_has_lease", "job_key_once_per_kind", "bot_stuck_job"} <= named


def test_check_schema_names_the_applied_migration_and_when_it_was_applied() -> None:
    _, said = check_schema()
    row = MigrationRecorder(connection).migration_qs.filter(app="bots").latest("name")
    assert f"bots: at {row.name}, applied {row.applied.isoformat(timespec='seconds')}" in said


def test_a_list_with_a_value_missing_is_told_with_both_lists() -> None:
    only_two_grades()
    (message,) = errors()
    assert message.splitlines() == [
        "bot_health_status_valid on bots_bot is not what the code says.",
        "    in the database: normal, potentially_stuck",
        "    in the code:     normal, potentially_stuck, unhealthy",
    ]


def test_check_schema_exits_1_and_marks_the_one_that_drifted() -> None:
    only_two_grades()
    code, said = check_schema()
    (line,) = [line for line in said.splitlines() if line.startswith("[DRIFT]")]
    assert code == 1
    assert "bot_health_status_valid" in line
    assert "normal, potentially_stuck / in the code: normal, potentially_stuck, unhealthy" in line


def test_a_missing_constraint_is_told() -> None:
    sql("ALTER TABLE jobs_job DROP CONSTRAINT job_progress_range")
    (message,) = errors()
    assert message.startswith("job_progress_range on jobs_job is missing in the database.")


def test_a_constraint_the_code_does_not_know_is_told() -> None:
    sql("ALTER TABLE jobs_job ADD CONSTRAINT nobody_knows CHECK (priority < 5000000)")
    (message,) = errors()
    assert message.startswith("nobody_knows on jobs_job is unknown to the code.")


def test_a_constraint_that_was_never_validated_is_told() -> None:
    sql("ALTER TABLE bots_bot DROP CONSTRAINT bot_status_valid")
    sql("ALTER TABLE bots_bot ADD CONSTRAINT bot_status_valid CHECK (status IN ('idle', 'busy', 'down')) NOT VALID")
    (message,) = errors()
    assert message.startswith("bot_status_valid on bots_bot is not validated.")


def test_a_missing_index_is_told() -> None:
    sql("DROP INDEX job_pending")
    (message,) = errors()
    assert message.startswith("job_pending on jobs_job is missing in the database.")


def test_a_partial_index_over_other_rows_is_told() -> None:
    sql("DROP INDEX job_key_once_per_kind")
    sql("CREATE UNIQUE INDEX job_key_once_per_kind ON jobs_job (kind_id, key) WHERE key <> ''")
    (message,) = errors()
    assert message.startswith("job_key_once_per_kind on jobs_job is not what the code says.")


def test_an_index_more_is_nobodys_fault() -> None:
    sql("CREATE INDEX tuned_by_hand ON jobs_job (created_at)")
    assert errors() == []


def test_a_table_that_is_not_there_is_told_and_does_not_stop_the_others() -> None:
    sql("ALTER TABLE jobs_jobevent RENAME TO gone")
    drifted = [c for c in schema.compare() if c.drift]
    assert [(c.table, c.name) for c in drifted] == [("jobs_jobevent", "(the table)")]


def test_while_migrations_wait_the_check_is_silent_so_that_migrate_can_cure_it() -> None:
    only_two_grades()
    MigrationRecorder(connection).migration_qs.filter(app="bots", name__gt="0001_initial").delete()
    assert errors() == []


def test_the_check_asks_nothing_when_no_database_is_named(django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    with django_assert_num_queries(0):
        run_checks()


def test_comparing_leaves_nothing_behind() -> None:
    schema.compare()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND relname LIKE 'jobs%%'", [])
        assert cursor.fetchone() == (0,)


def test_a_function_that_is_not_what_the_code_says_is_found() -> None:
    with connection.cursor() as cursor:
        cursor.execute(SQL.function("jobs_turns").replace("i + 1", "i + 2", 1))
    (drift,) = [c for c in schema.compare("jobs") if c.drift]
    assert (drift.name, drift.drift) == ("jobs_turns", "not what the code says")
    assert all("digest" in side for side in drift.sides) and len(set(drift.sides)) == 2


def test_a_guard_that_is_gone_is_found() -> None:
    sql("ALTER TABLE bots_bot DISABLE TRIGGER jobs_guard_bot")
    (drift,) = [c for c in schema.compare("jobs") if c.drift]
    assert (drift.table, drift.name, drift.drift) == ("bots_bot", "trigger jobs_guard_bot", "missing in the database")


def test_migrations_make_each_function_as_its_file_has_it() -> None:
    functions = [c for c in schema.compare("jobs") if c.table == "(functions)"]
    assert len(functions) == len(FUNCTIONS)
    changed = [c.name for c in functions if c.drift]
    assert not changed, "a function in jobs/lifecycle/sql has changed: add a migration with its new text"
