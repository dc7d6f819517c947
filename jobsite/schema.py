"""Compare the constraints, indexes and functions in the database with those of the code.

PostgreSQL rewrites a condition when it stores it, so the texts cannot be compared directly. The code's constraints are
therefore added to an empty temporary copy of each table, in a transaction that is rolled back, and PostgreSQL's
definitions of the copy are compared with those of the table.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import connection, models, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.recorder import MigrationRecorder

from jobs.lifecycle.statements import FUNCTIONS, SQL, TRIGGERS
from jobsite.lib.sql import digest

#: The apps whose tables are compared. Constraints of Django's and other apps are left alone.
APPS = ("bots", "jobs", "alerts")

_CHECKS = """
    SELECT conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint
    WHERE conrelid = %s::regclass AND contype = 'c'
"""
_INDEXES = """
    SELECT relname, pg_get_indexdef(indexrelid), indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indrelid = %s::regclass
"""


@dataclass(frozen=True)
class Comparison:
    """One constraint or index, as the database and the code have it; None where there is none."""

    app: str
    table: str
    name: str
    in_database: str | None
    in_code: str | None
    validated: bool = True

    @property
    def drift(self) -> str:
        """The difference, in two or three words; empty when both agree."""
        if self.in_database is None:
            return "missing in the database"
        if self.in_code is None:
            return "unknown to the code"
        if self.in_database != self.in_code:
            return "not what the code says"
        return "" if self.validated else "not validated"

    @property
    def is_check(self) -> bool:
        """Whether this is a CHECK constraint, and not an index."""
        return (self.in_database or self.in_code or "").startswith("CHECK")

    @property
    def sides(self) -> tuple[str, str]:
        """Both definitions, shortened to lists of values where they are only that."""
        return _values(self.in_database), _values(self.in_code)


def compare(app: str | None = None) -> list[Comparison]:
    """Compare every constraint and index of our tables (or of one app's), by table and name. Changes nothing."""
    labels = [app] if app else [label for label in APPS if apps.is_installed(label)]
    comparisons: list[Comparison] = []
    for label in labels:
        for model in apps.get_app_config(label).get_models():
            if model._meta.managed and not model._meta.proxy:
                comparisons.extend(_compare_table(label, model))
    if "jobs" in labels:
        comparisons.extend(_compare_functions())
    return sorted(comparisons, key=lambda c: (c.app, c.table, c.name))


def _compare_functions() -> Iterator[Comparison]:
    """Compare the functions in jobs/lifecycle/sql by the digests of their bodies."""
    for file, name in FUNCTIONS.items():
        rows = _query("SELECT prosrc FROM pg_proc WHERE proname = %s", name)
        in_database = f"a body with the digest {digest(rows[0][0])}" if rows else None
        yield Comparison("jobs", "(functions)", name, in_database, f"a body with the digest {digest(SQL.body(file))}")
    for file, table in TRIGGERS.items():
        rows = _query(
            "SELECT tgname FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid "
            "WHERE proname = %s AND tgrelid = %s::regclass AND tgenabled <> 'D'",
            FUNCTIONS[file], table,
        )  # fmt: skip
        name = FUNCTIONS[file]
        yield Comparison("jobs", table, f"trigger {name}", name if rows else None, name)


def applied(app: str) -> tuple[str, str]:
    """Return the latest applied migration of `app` and when it was applied, in ISO 8601."""
    recorder = MigrationRecorder(connection)
    rows = recorder.migration_qs.filter(app=app) if recorder.has_table() else ()
    # By number: `migrate` records a squashed migration last of all, whatever came after what it replaces.
    last = max(rows, key=lambda row: (MigrationAutodetector.parse_number(row.name) or 0, row.id), default=None)
    return (last.name, last.applied.isoformat(timespec="seconds")) if last else ("no migration", "never")


def _compare_table(app: str, model: type[models.Model]) -> Iterator[Comparison]:
    table = model._meta.db_table
    if not _query("SELECT to_regclass(%s)", connection.ops.quote_name(table))[0][0]:
        yield Comparison(app, table, "(the table)", None, "CREATE TABLE")
        return
    actual, expected = _definitions(table), _expected(model)
    for name in actual.keys() | expected.keys():
        # An additional index is tuning, which the code need not know.
        if name in actual and name not in expected and not actual[name][0].startswith("CHECK"):
            continue
        text, valid = actual.get(name, (None, True))
        yield Comparison(app, table, name, text, expected.get(name, (None, True))[0], valid)


def _expected(model: type[models.Model]) -> dict[str, tuple[str, bool]]:
    """Return the definitions of the code's constraints and indexes, as PostgreSQL writes them."""
    name = connection.ops.quote_name(model._meta.db_table)
    with transaction.atomic(), connection.schema_editor(atomic=False) as editor:
        # The copy has the table's own name, so that Django's SQL for the table can be run as it is: a temporary table
        # hides others of its name, in this transaction only.
        editor.execute(f"CREATE TEMPORARY TABLE {name} (LIKE {name}) ON COMMIT DROP")
        names = _add_all(editor, model)
        definitions = _definitions(model._meta.db_table)
        transaction.set_rollback(True)
    return {name: definitions[name] for name in names}


def _add_all(editor: BaseDatabaseSchemaEditor, model: type[models.Model]) -> list[str]:
    table = model._meta.db_table
    for constraint in model._meta.constraints:
        editor.execute(constraint.create_sql(model, editor))
    for index in model._meta.indexes:
        editor.execute(index.create_sql(model, editor))
    names = [item.name for item in (*model._meta.constraints, *model._meta.indexes)]
    for field in model._meta.local_concrete_fields:
        # Positive integers bring a check of their own, which PostgreSQL names.
        if check := field.db_parameters(connection).get("check"):
            names.append(f"{table}_{field.column}_check")
            quoted = editor.quote_name(names[-1])
            editor.execute(f"ALTER TABLE {editor.quote_name(table)} ADD CONSTRAINT {quoted} CHECK ({check})")
    return names


def _definitions(table: str) -> dict[str, tuple[str, bool]]:
    """Return the checks and indexes of the table that has this name now, and whether each is valid."""
    name = connection.ops.quote_name(table)
    # Whether a check is validated is a field of its own.
    checks = {name: (text.removesuffix(" NOT VALID"), valid) for name, text, valid in _query(_CHECKS, name)}
    # An index's definition names its table, which differs for the copy.
    indexes = {name: (re.sub(r" ON .*? USING ", " USING ", text), ok) for name, text, ok in _query(_INDEXES, name)}
    return checks | indexes


def _values(text: str | None) -> str:
    if text is None:
        return "nothing"
    listed = re.search(r"= ANY \(+ARRAY\[(.*?)\]", text)
    # With more than one condition, a list alone would leave something out.
    if listed is None or len(re.findall(r"'(?:[^']|'')*'::", text)) != listed[1].count("::") or " OR " in text:
        return text
    return ", ".join(value.replace("''", "'") for value in re.findall(r"'((?:[^']|'')*)'::", listed[1]))


def _query(sql: str, *params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
