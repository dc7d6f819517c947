"""`manage.py migrate`: as Django has it, with short waits for locks and one line for what is in the way."""

from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import DatabaseError, connections
from django.db.migrations import Migration

from jobsite import migrating


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
        except DatabaseError as error:
            line = migrating.gave_up(error, self.running)
            if not line:
                raise
            # Django has begun a line that says which migration it applies.
            self.stdout.write("")
            raise CommandError(line) from error

    def migration_progress_callback(self, action: str, migration: Migration | None = None, fake: bool = False) -> None:
        self.running = migration if action in ("apply_start", "unapply_start") else None
        super().migration_progress_callback(action, migration, fake)
