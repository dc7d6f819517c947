"""`manage.py migrate`: as Django has it, with short waits for locks, and with the groups of the roles."""

from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations import Migration

from jobsite import migrating, roles
from jobsite.probes import unapplied


class Command(migrate.Command):
    """Django's own, with short waits for locks, and one line in place of a traceback where something is in the way."""

    running: Migration | None = None

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        if reason := migrating.too_old(connection):
            raise CommandError(reason)
        try:
            with migrating.short_waits(connection):
                super().handle(*args, **options)
            self._apply_roles(options)
        except DatabaseError as error:
            line = migrating.gave_up(error, self.running)
            if not line:
                raise
            # Django has begun a line that says which migration it applies.
            self.stdout.write("")
            raise CommandError(line) from error

    def _apply_roles(self, options: dict[str, Any]) -> None:
        """Give the roles what is new, once the database has all that the code has."""
        if options["plan"] or options["database"] != DEFAULT_DB_ALIAS or unapplied():
            return
        for role in roles.apply():
            note = f"There is a group {role!r} already. It is left as it is, and so is no role."
            self.stdout.write(self.style.WARNING(note))

    def migration_progress_callback(self, action: str, migration: Migration | None = None, fake: bool = False) -> None:
        self.running = migration if action in ("apply_start", "unapply_start") else None
        super().migration_progress_callback(action, migration, fake)
