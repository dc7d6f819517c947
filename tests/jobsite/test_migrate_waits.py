"""`migrate` does not wait long for a lock: it gives up with one line, and nothing is half done."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from jobs import migrations
from jobsite import migrating
from tests.cast import database_url
from tests.race import PATIENCE, racers

ROOT = Path(__file__).resolve().parents[2]

HEAD = """
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [{leaf!r}]
"""
#: First a kind's table, which is free, then the jobs', as a migration of a new column would.
WIDE = """
    operations = [
        migrations.RunSQL("ALTER TABLE jobs_jobkind ADD wide int", "ALTER TABLE jobs_jobkind DROP wide"),
        migrations.RunSQL("ALTER TABLE jobs_job ADD wide int", "ALTER TABLE jobs_job DROP wide"),
    ]
"""
ASKS = """
    operations = [
        migrations.RunSQL("CREATE TABLE seen AS SELECT current_setting('lock_timeout') AS it", "DROP TABLE seen"),
    ]
"""
INDEX = """
    atomic = False
    operations = [
        AddIndexConcurrently("job", models.Index(fields=["priority"], name="job_wide")),
        migrations.RunSQL("CREATE TABLE seen AS SELECT current_setting('lock_timeout') AS it", "DROP TABLE seen"),
    ]
"""
NOT_ATOMIC = WIDE.replace("    operations", "    atomic = False\n    operations", 1)

pytestmark = pytest.mark.django_db(transaction=True)

Later = Callable[[str], None]


def ask(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def wide() -> list[str]:
    """The tables that have the column."""
    return [table for (table,) in ask("SELECT attrelid::regclass::text FROM pg_attribute WHERE attname = 'wide'")]


def is_applied() -> bool:
    return ("jobs", "9001_later") in MigrationRecorder(connection).applied_migrations()


def migrate(*args: str) -> str:
    out = StringIO()
    call_command("migrate", *args, stdout=out)
    return out.getvalue()


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Later]:
    """`later(operations)`: one more migration of jobs. Afterwards the database is as it was."""
    ((_, leaf),) = MigrationLoader(None).graph.leaf_nodes("jobs")
    package = tmp_path / "later_jobs"
    package.mkdir()
    (package / "__init__.py").write_text(f"__path__ = {[*migrations.__path__, str(package)]!r}\n")

    def write(body: str) -> None:
        (package / "9001_later.py").write_text(HEAD.format(leaf=("jobs", leaf)) + body)

    monkeypatch.syspath_prepend(tmp_path)
    settings.MIGRATION_MODULES = {"jobs": "later_jobs"}
    yield write
    if is_applied():
        migrate("jobs", leaf)
    for name in [name for name in sys.modules if name.split(".")[0] == "later_jobs"]:
        del sys.modules[name]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrating, "LOCK_TIMEOUT", "200ms")


@pytest.fixture
def other() -> Iterator[psycopg.Connection]:
    """A second connection, in a transaction that has to do with jobs, as each call of a bot has."""
    with psycopg.connect(database_url()) as opened:
        opened.execute("LOCK TABLE jobs_job IN ROW EXCLUSIVE MODE")
        yield opened
        opened.rollback()


def test_a_migration_that_waits_for_a_lock_gives_up_with_one_line(
    later: Later, impatient: None, other: psycopg.Connection
) -> None:
    later(WIDE)
    with pytest.raises(CommandError) as refused:
        migrate()
    assert refused.value.returncode == 1
    assert str(refused.value) == (
        "jobs.9001_later waited 200ms for a lock and gave up. Nothing of it was applied. "
        "Run `manage.py migrate` again when no long transaction is open."
    )
    assert (wide(), is_applied()) == ([], False)
    other.rollback()
    assert "Applying jobs.9001_later... OK" in migrate()
    assert (sorted(wide()), is_applied()) == (["jobs_job", "jobs_jobkind"], True)


def test_a_deadlock_with_a_bot_ends_with_one_line(later: Later, other: psycopg.Connection) -> None:
    later(WIDE)
    # The bot notices much later, so PostgreSQL ends the migration.
    other.execute("SET deadlock_timeout = '60s'")
    with racers() as run:
        running = run.go_and_block(migrate)
        other.execute("LOCK TABLE jobs_jobkind IN ROW SHARE MODE")
        with pytest.raises(CommandError) as refused:
            running.result(PATIENCE)
    assert str(refused.value) == (
        "jobs.9001_later and another transaction waited for each other's locks, and PostgreSQL ended this one. "
        "Nothing of it was applied. Run `manage.py migrate` again when no long transaction is open."
    )
    other.rollback()
    assert (wide(), is_applied()) == ([], False)


def test_one_without_a_transaction_is_not_called_whole(
    later: Later, impatient: None, other: psycopg.Connection
) -> None:
    later(NOT_ATOMIC)
    with pytest.raises(CommandError, match="its first statements may have been applied"):
        migrate()
    assert (wide(), is_applied()) == (["jobs_jobkind"], False)
    other.rollback()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE jobs_jobkind DROP wide")


def test_an_index_made_concurrently_waits_for_older_transactions(
    later: Later, impatient: None, other: psycopg.Connection
) -> None:
    # Nobody waits behind it; giving up would only leave an invalid index.
    later(INDEX)
    with racers() as run:
        running = run.go_and_block(migrate)
        waited = (
            "SELECT max(now() - query_start) > '400ms' FROM pg_stat_activity WHERE query LIKE '%CONCURRENTLY%job_wide%'"
        )
        while not ask(waited)[0][0]:
            assert not running.done(), running.exception()
        other.rollback()
        assert "OK" in running.result(PATIENCE)
    assert ask("SELECT indisvalid FROM pg_index WHERE indexrelid = 'job_wide'::regclass") == [(True,)]
    # The statement after it may not wait.
    assert ask("SELECT it FROM seen") == [("200ms",)]


def test_the_wait_is_five_seconds_and_only_for_migrations(later: Later) -> None:
    later(ASKS)
    usual = ask("SHOW lock_timeout")
    migrate()
    assert ask("SELECT it FROM seen") == [("5s",)]
    assert ask("SHOW lock_timeout") == usual


def test_another_error_of_the_database_keeps_its_traceback(later: Later) -> None:
    later(WIDE.replace("jobs_job ADD", "no_such_table ADD"))
    with pytest.raises(DatabaseError, match="no_such_table"):
        migrate()
    assert (wide(), is_applied()) == ([], False)


def test_its_process_exits_with_1_and_one_line_on_standard_error() -> None:
    command = (
        "from django.core.management import execute_from_command_line as run\n"
        "from jobsite import migrating\n"
        "migrating.LOCK_TIMEOUT = '200ms'\n"
        "run(['manage.py', 'migrate', 'bots', '0003'])\n"
    )
    env = os.environ | {"DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "tests.settings"}
    with psycopg.connect(database_url()) as other:
        other.execute("LOCK TABLE bots_bot IN ROW EXCLUSIVE MODE")
        done = subprocess.run(
            [sys.executable, "-c", command], env=env, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
        )
        other.rollback()
    # What was unapplied before it comes back.
    migrate()
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("CommandError: bots.0018_quarantine_of_instances waited 200ms for a lock and gave up.")
