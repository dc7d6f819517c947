"""A database of commit 430f651 goes on with one `migrate`, and an older one is refused with one line."""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from jobs.models import JobRollup, RollupState
from jobs.release_patterns.sums import COLUMNS
from jobs.stats.times import FINE, HOME
from jobsite import migrating
from jobsite.lib import histogram
from tests.jobsite.empty_database import empty_database

RECORD = Path(__file__).parent / "records" / "430f651.sql"
OURS = ("alerts", "bots", "jobs")
#: What the migrations of that commit were replaced by: their sum is its schema.
SQUASHED = {
    ("alerts", "0001_squashed_0004_incident_back_at"),
    ("bots", "0005_squashed_0007_expected"),
    ("jobs", "0002_squashed_0018_finished_by_kind"),
}

#: Their rows are those of one table now (`jobs.0020_one_rollup`).
#: What bots had and their instances have now (tests/bots/test_instances_migration.py).
MOVED = {
    ("bots_bot", f'"{name}"') for name in ("restart_requested_at", "quarantined_at", "quarantine_reason", "cleared_at")
}
ROLLED_UP = {"jobs_tally", "jobs_leasetally", "jobs_metered"}

Rows = dict[str, tuple[list[str], list[tuple[Any, ...]]]]


def ask(sql: str, *params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


def applied() -> set[tuple[str, str]]:
    return {name for name in MigrationRecorder(connection).applied_migrations() if name[0] in OURS}


def columns(table: str) -> list[str]:
    return [
        f'"{name}"'
        for (name,) in ask(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s ORDER BY ordinal_position", table
        )
    ]


def rows_of(table: str, names: list[str]) -> list[tuple[Any, ...]]:
    return ask(f"SELECT {', '.join(names)} FROM {table} ORDER BY 1")


def everything() -> Rows:
    """All rows of our tables, by table, with the columns that they have now."""
    tables = [table for table in connection.introspection.table_names() if table.startswith(OURS)]
    return {table: (columns(table), rows_of(table, columns(table))) for table in tables}


@pytest.fixture
def upgraded(transactional_db: None) -> Iterator[tuple[set[tuple[str, str]], Rows, str]]:
    """A database of that commit after `migrate`; what it had applied and in its rows before, and what was printed."""
    with empty_database():
        executor = MigrationExecutor(connection)
        others = [leaf for leaf in executor.loader.graph.leaf_nodes() if leaf[0] not in OURS]
        executor.migrate([*others, *sorted(SQUASHED)])
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("DELETE FROM django_migrations WHERE app = ANY (%s)", [list(OURS)])
            cursor.execute(RECORD.read_text(encoding="utf-8"))
        had, before, out = applied(), everything(), StringIO()
        call_command("migrate", stdout=out)
        yield had, before, out.getvalue()


def test_one_migrate_changes_no_row_and_leaves_what_the_code_says(upgraded: Any) -> None:
    had, before, printed = upgraded
    assert len(had) == 28 and not had & SQUASHED
    assert len(before["jobs_job"][1]) == 15 and all(rows for _, rows in before.values())
    assert not [line for line in printed.splitlines() if "squashed" in line], "something was run again"
    for table, (names, rows) in before.items():
        if table not in ROLLED_UP:
            kept = [n for n, name in enumerate(names) if (table, name) not in MOVED]
            assert rows_of(table, [names[n] for n in kept]) == [tuple(row[n] for n in kept) for row in rows], table
    # What was replaced stays on record, so that the code before finds it.
    assert applied() >= had | SQUASHED
    out = StringIO()
    call_command("check_schema", stdout=out)
    assert "DRIFT" not in out.getvalue()


def test_no_figure_changes(upgraded: Any) -> None:
    _, before, _ = upgraded

    def old(table: str) -> list[dict[str, Any]]:
        names, rows = before[table]
        return [dict(zip((name.strip('"') for name in names), row, strict=True)) for row in rows]

    def new(**where: Any) -> JobRollup:
        return JobRollup.objects.get(**where)

    for row in old("jobs_tally"):
        mine = new(span=row["span"], start=row["start"], kind=row["kind"], bot=0)
        for column in ("succeeded", "failed", "cancelled", "waits", "waited", "ran"):
            assert getattr(mine, column) == row[column]
        if row["span"] == "hour":
            assert FINE.regroup(histogram.from_json(mine.run_times), HOME) == row["runs"]
    for row in old("jobs_leasetally"):
        if row["span"] != "mark":
            mine = new(span=row["span"], start=row["start"], kind=row["kind"], bot=row["bot"])
            for way, columns in COLUMNS.items():
                assert sum(getattr(mine, column) for column in columns) == row[way]
    for row in old("jobs_metered"):
        if row["name"] == "claims":
            assert new(span="total", kind=row["kind"]).leases_given == row["n"]
        if row["name"] == "finished":
            assert getattr(new(span="total", kind=row["kind"]), row["source"]) == row["n"]
    (until,) = [row["at"] for row in old("jobs_metered") if row["name"] == "mark"]
    assert RollupState.objects.get().added_until == until


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("has", "lacks"),
    [
        (("jobs", "0017_failures_in_a_turn"), ("jobs", "0018_finished_by_kind")),
        (("bots", "0006_quarantine_reason"), ("bots", "0007_expected")),
        (("alerts", "0003_channels_and_outbox"), ("alerts", "0004_incident_back_at")),
    ],
)
@pytest.mark.parametrize("options", [{}, {"check_unapplied": True}, {"app_label": "jobs"}], ids=str)
def test_a_database_from_before_is_refused_with_one_line(
    has: tuple[str, str], lacks: tuple[str, str], options: dict[str, Any]
) -> None:
    recorder = MigrationRecorder(connection)
    for app, name in (lacks, *(squashed for squashed in SQUASHED if squashed[0] == lacks[0])):
        recorder.record_unapplied(app, name)
    before = applied()
    with pytest.raises(CommandError) as refused:
        call_command("migrate", **options)
    assert refused.value.returncode == 1
    assert str(refused.value) == (
        f"This database is older than commit 430f651, the first that this code upgrades: it has {'.'.join(has)} and "
        f"not {'.'.join(lacks)}. Run `manage.py migrate` with the code of that commit, then with this one."
    )
    assert applied() == before


@pytest.mark.django_db
def test_squashed_migrations_whose_old_ones_are_still_on_disk_are_djangos_affair(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def with_one_of_auth(*args: Any) -> MigrationLoader:
        loader = MigrationLoader(*args)
        squashed = Migration("0001_squashed_0002", "auth")
        squashed.replaces = [("auth", "0001_initial"), ("auth", "0002_alter_permission_name_max_length")]
        loader.replacements["auth", squashed.name] = squashed
        return loader

    monkeypatch.setattr(migrating, "MigrationLoader", with_one_of_auth)
    MigrationRecorder(connection).record_unapplied("auth", "0002_alter_permission_name_max_length")
    assert migrating.too_old(connection) == ""


def test_check_schema_names_the_newest_migration_and_not_the_one_recorded_last(db: None) -> None:
    # As on a new database: the squashed one is recorded after all others have been applied.
    MigrationRecorder(connection).record_applied("jobs", "0999_newest")
    for name in ("0018_finished_by_kind", "0002_squashed_0018_finished_by_kind"):
        MigrationRecorder(connection).record_unapplied("jobs", name)
        MigrationRecorder(connection).record_applied("jobs", name)
    out = StringIO()
    call_command("check_schema", stdout=out)
    assert "jobs: at 0999_newest, applied" in out.getvalue()
