"""Does the database refuse and do what the code says? Constraints, indexes and functions there, beside the code's.

PostgreSQL rewrites a condition when it stores it, so texts cannot be compared as they were written. The code's
constraints are therefore added to an empty temporary twin of each table, in a transaction that is rolled back, and
what PostgreSQL says of the twin is compared with what it says of the table.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import connection, models, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.recorder import MigrationRecorder

from jobs.lifecycle.statements import FUNCTIONS, SQL, TRIGGERS
from jobsite.lib.sql import digest

#: The apps whose tables are ours. Constraints of other people's apps are their affair.
OURS = ("bots", "jobs", "alerts")

_CHECKS = """
    SELECT conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint
    WHERE conrelid = %s::regclass AND contype = 'c'
"""
_INDEXES = """
    SELECT relname, pg_get_indexdef(indexrelid), indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indrelid = %s::regclass
"""


@dataclass(frozen=True)
class Compared:
    """One constraint or index, as the database has it and as the code means it; None where there is none."""

    app: str
    table: str
    name: str
    in_database: str | None
    in_code: str | None
    validated: bool = True

    @property
    def drift(self) -> str:
        """What is wrong, in two or three words; empty when the two agree."""
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
        """Both definitions, as two lists of values where that is what they are."""
        return _values(self.in_database), _values(self.in_code)


def compare(app: str | None = None) -> list[Compared]:
    """Every constraint and index of our tables (or of one app's), by table and name. Changes nothing."""
    labels = [app] if app else [label for label in OURS if apps.is_installed(label)]
    found: list[Compared] = []
    for label in labels:
        for model in apps.get_app_config(label).get_models():
            if model._meta.managed and not model._meta.proxy:
                found.extend(_compare_table(label, model))
    if "jobs" in labels:
        found.extend(_compare_functions())
    return sorted(found, key=lambda c: (c.app, c.table, c.name))


def _compare_functions() -> Iterator[Compared]:
    """The functions in jobs/lifecycle/sql, by the digests of their bodies."""
    for file, name in FUNCTIONS.items():
        there = _ask("SELECT prosrc FROM pg_proc WHERE proname = %s", name)
        in_database = f"a body with the digest {digest(there[0][0])}" if there else None
        yield Compared("jobs", "(functions)", name, in_database, f"a body with the digest {digest(SQL.body(file))}")
    for file, table in TRIGGERS.items():
        there = _ask(
            "SELECT tgname FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid "
            "WHERE proname = %s AND tgrelid = %s::regclass AND tgenabled <> 'D'",
            FUNCTIONS[file], table,
        )  # fmt: skip
        name = FUNCTIONS[file]
        yield Compared("jobs", table, f"trigger {name}", name if there else None, name)


def applied(app: str) -> tuple[str, str]:
    """The latest applied migration of `app` and when it was applied, in ISO 8601."""
    rows = MigrationRecorder(connection).migration_qs.filter(app=app).order_by("-applied", "-id")
    last = rows.values_list("name", "applied").first() if MigrationRecorder(connection).has_table() else None
    return (last[0], last[1].isoformat(timespec="seconds")) if last else ("no migration", "never")


def _compare_table(app: str, model: type[models.Model]) -> Iterator[Compared]:
    table = model._meta.db_table
    if not _ask("SELECT to_regclass(%s)", connection.ops.quote_name(table))[0][0]:
        yield Compared(app, table, "(the table)", None, "CREATE TABLE")
        return
    there, meant = _described(table), _meant(model)
    for name in there.keys() | meant.keys():
        # An index more is a way of tuning, and nothing that the code must know of.
        if name in there and name not in meant and not there[name][0].startswith("CHECK"):
            continue
        text, valid = there.get(name, (None, True))
        yield Compared(app, table, name, text, meant.get(name, (None, True))[0], valid)


def _meant(model: type[models.Model]) -> dict[str, tuple[str, bool]]:
    """What the code asks for, in PostgreSQL's words."""
    name = connection.ops.quote_name(model._meta.db_table)
    with transaction.atomic(), connection.schema_editor(atomic=False) as editor:
        # Under the table's own name, so that the SQL that Django would run for the table is run as it is: a temporary
        # table comes before all others of its name, for this transaction only.
        editor.execute(f"CREATE TEMPORARY TABLE {name} (LIKE {name}) ON COMMIT DROP")
        names = _add_all(editor, model)
        described = _described(model._meta.db_table)
        transaction.set_rollback(True)
    return {name: described[name] for name in names}


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


def _described(table: str) -> dict[str, tuple[str, bool]]:
    """The checks and indexes of what goes by this name just now, with whether PostgreSQL vouches for them."""
    name = connection.ops.quote_name(table)
    checks = {name: (_plain(text), valid) for name, text, valid in _ask(_CHECKS, name)}
    # An index's definition names its table, which for the twin is another.
    indexes = {name: (re.sub(r" ON .*? USING ", " USING ", text), ok) for name, text, ok in _ask(_INDEXES, name)}
    return checks | indexes


def _plain(text: str) -> str:
    # Whether it is validated is said apart.
    return text.removesuffix(" NOT VALID")


def _values(text: str | None) -> str:
    if text is None:
        return "nothing"
    listed = re.search(r"= ANY \(+ARRAY\[(.*?)\]", text)
    # With more than one condition, a list alone would not be the whole story.
    if listed is None or len(re.findall(r"'(?:[^']|'')*'::", text)) != listed[1].count("::") or " OR " in text:
        return text
    return ", ".join(value.replace("''", "'") for value in re.findall(r"'((?:[^']|'')*)'::", listed[1]))


def _ask(sql: str, *params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()
