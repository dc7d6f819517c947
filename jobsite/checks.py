"""Check the database's constraints: at `check --database default` and at every `migrate`.

What the check needs is imported by it: this module is imported at the start of every command.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import DEFAULT_DB_ALIAS

if TYPE_CHECKING:
    from jobsite.schema import Comparison

HINT = (
    "Make a migration that drops the constraint and adds it again as the code has it (bots/migrations/"
    "0002_unhealthy.py shows how, without a long lock). `manage.py check_schema` prints both definitions."
)


@register(Tags.database)
def constraints_are_what_the_code_says(
    *, app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Return one error for each constraint that differs between the database and the models."""
    if DEFAULT_DB_ALIAS not in (databases or ()):
        return []
    from jobsite import schema
    from jobsite.probes import unapplied

    # Before migrations are applied the two differ, and `migrate`, which runs this check first, is the remedy.
    waiting = {app for app, _ in unapplied()}
    wanted = None if app_configs is None else {config.label for config in app_configs}
    if waiting & set(schema.APPS):
        return []
    return [_error(c) for c in schema.compare() if c.drift and (wanted is None or c.app in wanted)]


def _error(comparison: "Comparison") -> Error:
    database, code = comparison.sides
    message = (
        f"{comparison.name} on {comparison.table} is {comparison.drift}.\n"
        f"    in the database: {database}\n    in the code:     {code}"
    )
    cure = "ALTER TABLE {0.table} VALIDATE CONSTRAINT {0.name};" if comparison.is_check else "REINDEX INDEX {0.name};"
    hint = HINT if comparison.validated else cure.format(comparison)
    return Error(message, hint=hint, obj=None, id="jobsite.E001")
