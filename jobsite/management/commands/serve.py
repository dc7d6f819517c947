"""`manage.py serve`: the web server as in production. `make serve`, the unit and the image run it."""

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from jobsite.lib.loop import DATABASE_AWAY, error_line
from jobsite.probes import unapplied
from jobsite.serving.command_line import command_line


class Command(BaseCommand):
    help = (
        "Run the web server as in production: collect the static files, and start granian in place of this process. "
        "It does not start while the database lacks a migration."
    )
    # They would load the pages, which the server loads again.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", help="the address to listen on (default: the setting HOST)")
        parser.add_argument("--port", type=int, help="the port (default: the setting PORT)")
        parser.add_argument("--workers", type=int, help="how many processes (default: the setting WEB_WORKERS)")

    def handle(self, *, host: str | None, port: int | None, workers: int | None, **options: Any) -> None:
        port = settings.PORT if port is None else port
        command = command_line(port, host=host or settings.HOST, workers=workers or settings.WEB_WORKERS)
        directory = Path(settings.METRICS_DIR or settings.BASE_DIR / ".run" / f"metrics-{port}")
        _require_migrations()
        try:
            _collect()
            _empty(directory)
        except OSError as error:
            raise CommandError(
                f"{error.filename}: {error.strerror}. The server writes there before it starts."
            ) from None
        os.chdir(settings.BASE_DIR)
        os.execve(command[0], command, os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(directory)})  # noqa: S606


def _require_migrations() -> None:
    try:
        missing = unapplied()
    except DATABASE_AWAY as error:
        raise CommandError(f"The database cannot be reached. {error_line(error)}") from None
    finally:
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]
    if missing:
        names = ", ".join(f"{app}.{name}" for app, name in missing)
        raise CommandError(f"The database lacks migrations: {names}. Run `migrate` first.")


def _collect() -> None:
    """Collect the static files, unless they came with the image, which nobody may write to."""
    collected = Path(settings.STATIC_ROOT)
    if not collected.exists() or os.access(collected, os.W_OK):
        call_command("collectstatic", interactive=False, verbosity=0)


def _empty(directory: Path) -> None:
    """Leave nothing of the processes of an earlier start: /metrics has what these processes write."""
    directory.mkdir(parents=True, exist_ok=True)
    for left in directory.glob("*.db"):
        left.unlink()
