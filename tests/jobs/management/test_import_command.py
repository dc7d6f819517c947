"""`manage.py import_jobs` takes over the jobs and bots of an older system, all or none, and once."""

import stat
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command

from bots import tokens
from bots.models import AuditEntry, Bot
from jobs.models import Job
from tests.cast import database_url

pytestmark = pytest.mark.django_db

TABLES = """
CREATE SCHEMA older;
CREATE TABLE older.bots (
    id serial PRIMARY KEY, name text, status text, health_status text, deleted_at timestamptz
);
CREATE TABLE older.jobs (
    id serial PRIMARY KEY, kind text, status text, payload jsonb, priority integer, run_at timestamp,
    claimed_by integer REFERENCES older.bots, result jsonb, error text
);
INSERT INTO older.bots (name, status, health_status, deleted_at) VALUES
    ('north', 'busy', 'normal', NULL), ('south', 'busy', 'unhealthy', NULL),
    ('east', 'idle', 'potentially_stuck', now()), ('east', 'idle', 'normal', NULL);
INSERT INTO older.jobs (kind, status, payload, priority, run_at, claimed_by) VALUES
    ('sum', 'pending', '{"numbers": [1, 2]}', 5, '2031-05-06 07:08:09', NULL),
    ('sum', 'claimed', NULL, NULL, NULL, 1),
    ('divide', 'processing', '[1]', 0, NULL, 2),
    ('sum', 'succeeded', '{}', 0, NULL, 1),
    ('sum', 'failed', '{}', 0, NULL, 1);
"""


@pytest.fixture
def older() -> Iterator[psycopg.Connection[Any]]:
    """The older system's tables, in a schema of their own."""
    with psycopg.connect(database_url(), autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS older CASCADE")
        connection.execute(TABLES)
        yield connection
        connection.execute("DROP SCHEMA older CASCADE")


def imported(*flags: str) -> list[str]:
    url, out = database_url(), StringIO()
    url += f"{'&' if '?' in url else '?'}options=-csearch_path%3Dolder"
    err = StringIO()
    try:
        call_command("import_jobs", url, *flags, stdout=out, stderr=err)
    except CommandError as error:
        return [*err.getvalue().splitlines(), f"(error) {error}"]
    return out.getvalue().splitlines()


def test_what_has_not_ended_is_pending_here_and_the_rest_stays_there(older: Any) -> None:
    assert imported() == [
        "There: 1 pending, 1 claimed, 1 processing, 1 succeeded, 1 failed.",
        "Imported 3 jobs; 0 were imported before.",
    ]
    rows = Job.objects.order_by("pk").values_list("key", "kind", "payload", "priority", "status")
    assert list(rows) == [
        ("imported-1", "sum", {"numbers": [1, 2]}, 5, "pending"),
        ("imported-2", "sum", {}, 0, "pending"),
        ("imported-3", "divide", [1], 0, "pending"),
    ]
    assert Job.objects.get(key="imported-1").run_at.isoformat() == "2031-05-06T07:08:09+00:00"
    assert AuditEntry.objects.get().after == {"created": 3, "file": "import_jobs"}
    assert not Bot.objects.exists()


def test_the_same_again_adds_nothing(older: Any) -> None:
    imported()
    assert imported("--failed")[1] == "Imported 1 jobs; 3 were imported before."
    assert imported("--failed")[1] == "Imported 0 jobs; 4 were imported before."
    assert Job.objects.count() == 4


def test_bots_that_were_not_deleted_are_registered_and_their_tokens_work(older: Any, tmp_path: Path) -> None:
    Bot.objects.create(name="south")
    file = tmp_path / "tokens"
    assert imported("--tokens", str(file))[2] == "Registered 2 bots; 1 were there, and 1 had been deleted."
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    written = [line.split(" ") for line in file.read_text().splitlines()]
    assert [name for _, name in written] == ["north", "east"]
    for token, name in written:
        assert Bot.objects.get(token_digest=tokens.digest(token)).name == name
    assert set(Bot.objects.values_list("health_status", flat=True)) == {"normal"}


def test_a_dry_run_says_the_same_and_changes_nothing(older: Any, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    assert imported("--dry-run", "--tokens", str(file))[1:] == [
        "Would import 3 jobs; 0 were imported before.",
        "Would register 3 bots; 0 were there, and 1 had been deleted.",
    ]
    assert (Job.objects.count(), Bot.objects.count(), file.exists()) == (0, 0, False)


def test_rows_that_cannot_be_jobs_are_named_and_nothing_is_imported(older: Any, tmp_path: Path) -> None:
    older.execute("UPDATE older.jobs SET kind = 'no good' WHERE id = 2")
    older.execute("UPDATE older.jobs SET status = 'stuck' WHERE id = 3")
    file = tmp_path / "tokens"
    first, second, last = imported("--tokens", str(file))
    assert first.startswith("job 2: kind:")
    assert second.startswith("row 3: `status` is 'stuck'; it may be pending, claimed")
    assert last == "(error) 2 of its jobs cannot be imported. Nothing was imported."
    assert (Job.objects.count(), Bot.objects.count(), file.exists()) == (0, 0, False)


def test_a_bot_that_cannot_be_registered_is_named_and_nothing_is_imported(older: Any, tmp_path: Path) -> None:
    older.execute("UPDATE older.bots SET name = ' north' WHERE id = 1")
    (line,) = imported("--tokens", str(tmp_path / "tokens"))
    assert line.startswith("(error) Bot ' north': name: Remove the blank")
    assert line.endswith("Nothing was imported.")
    assert not Job.objects.exists()


def test_a_file_of_tokens_is_never_written_over(older: Any, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("kept")
    assert imported("--tokens", str(file)) == [f"(error) --tokens: {file} is there already. Nothing was imported."]
    assert file.read_text() == "kept"


def test_queries_fit_other_tables_and_columns(older: Any) -> None:
    older.execute("ALTER TABLE older.jobs RENAME COLUMN kind TO type")
    assert imported()[0].startswith("job 1: kind: Field required")
    assert imported("--jobs", "SELECT *, type AS kind FROM jobs WHERE type = 'divide'")[1].startswith("Imported 1 jobs")


def test_a_database_without_these_tables_is_named(older: Any) -> None:
    older.execute("DROP TABLE older.jobs")
    (line,) = imported()
    assert line.startswith('(error) relation "jobs" does not exist')
    assert line.endswith("Nothing was imported.")


def test_it_cannot_write_to_the_older_database(older: Any) -> None:
    (line,) = imported("--jobs", "DELETE FROM jobs RETURNING *")
    assert line.endswith("Nothing was imported.")
    assert older.execute("SELECT count(*) FROM older.jobs").fetchone() == (5,)
