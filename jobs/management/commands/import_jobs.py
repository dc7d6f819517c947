"""`manage.py import_jobs`: take over what has not ended from the system that Jobsite replaces, and its bots."""

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from bots import audit, roster
from bots.acts import Act
from bots.models import Bot
from jobs.enqueue import older_system
from jobs.enqueue.load import Loaded, load
from jobs.enqueue.refusals import recorded
from jobs.errors import TooManyPending
from jobsite.lib import outcomes
from jobsite.lib.loop import error_line
from jobsite.lib.plain_text import one_line


class Command(BaseCommand):
    help = (
        "Import jobs that have not ended, and bots, from the PostgreSQL database of an older system. Claimed and "
        "processing jobs are pending here, so stop its bots first. All or none. The same again adds nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("url", metavar="URL", help="the older database: postgres://user:password@host/name")
        parser.add_argument("--jobs", default=older_system.JOBS, metavar="SQL", help=f"default: {older_system.JOBS}")
        parser.add_argument("--bots", default=older_system.BOTS, metavar="SQL", help=f"default: {older_system.BOTS}")
        parser.add_argument("--failed", action="store_true", help="import failed jobs as well: they are tried again")
        parser.add_argument("--tokens", metavar="FILE", help="register its bots; their tokens go to this new file")
        parser.add_argument("--dry-run", action="store_true", help="say what would be imported, and change nothing")

    def handle(self, *, url: str, tokens: str | None, dry_run: bool, **options: Any) -> None:
        file = Path(tokens) if tokens else None
        if file and file.exists():
            raise CommandError(f"--tokens: {file} is there already. Nothing was imported.")
        made = _Bots(file, dry_run)
        try:
            with older_system.opened(url) as older:
                jobs = older_system.Jobs(older, options["jobs"], failed=options["failed"])
                if file:
                    made.read(older, options["bots"])

                def finish(created: int, replaced: int, kinds: set[str]) -> None:
                    if created:
                        after = {"created": created, "file": "import_jobs"}
                        one = audit.Subject("job", "", f"{created} jobs", after=after)
                        audit.record(Act.ENQUEUE, [one], by=audit.COMMAND)
                    made.register()

                with recorded("manage.py import_jobs"):
                    loaded = load(jobs, dry_run=dry_run, before_commit=finish)
        except (TooManyPending, _BadBots, OSError) as error:
            made.forget()
            raise CommandError(f"{str(error).rstrip('.')}. Nothing was imported.") from None
        except outcomes.ERRORS as error:
            nothing = outcomes.nothing_done(error)
            if nothing:
                made.forget()
            what = "Nothing was imported." if nothing else "Whether it was imported is not known; run it again."
            raise CommandError(f"{error_line(error).rstrip('.')}. {what}") from None
        self._report(loaded, jobs, made, dry_run)

    def _report(self, loaded: Loaded, jobs: older_system.Jobs, made: "_Bots", dry_run: bool) -> None:
        for line in loaded.bad_lines:
            self.stderr.write(one_line(f"{line.place}: {line.message}"))
        if loaded.bad:
            raise CommandError(f"{loaded.bad} of its jobs cannot be imported. Nothing was imported.")
        were = {name: jobs.statuses[name] for name in older_system.STATUSES if jobs.statuses[name]}
        self.stdout.write("There: " + (", ".join(f"{n} {name}" for name, n in were.items()) or "no jobs") + ".")
        would = "Would import" if dry_run else "Imported"
        self.stdout.write(f"{would} {loaded.created} jobs; {loaded.existing} were imported before.")
        if made.file:
            would = "Would register" if dry_run else "Registered"
            self.stdout.write(
                f"{would} {len(made.new)} bots; {made.there} were there, and {made.deleted} had been deleted."
            )


class _BadBots(Exception):
    """A bot that cannot be registered. The text names it."""


class _Bots:
    """The older system's bots: those that are new here are registered, and their tokens written to a file."""

    def __init__(self, file: Path | None, dry_run: bool) -> None:
        self.file, self.dry_run = file, dry_run
        self.new: list[str] = []
        self.there = self.deleted = 0
        self._written = False

    def read(self, older: older_system.Connection, query: str) -> None:
        """Read them. _BadBots if one cannot be registered here."""
        rows, self.deleted = older_system.read_bots(older, query)
        names = [str(row.get("name") or "") for row in rows]
        there = set(Bot.objects.filter(name__in=names).values_list("name", flat=True))
        self.new = [name for name in names if name not in there]
        self.there = len(names) - len(self.new)
        if twice := sorted({name for name in self.new if self.new.count(name) > 1}):
            raise _BadBots(f"There are two bots called {twice[0]!r}")
        for name in self.new:
            try:
                Bot(name=name).full_clean(validate_unique=False)
            except ValidationError as error:
                faults = "; ".join(f"{field}: {' '.join(texts)}" for field, texts in error.message_dict.items())
                raise _BadBots(f"Bot {name!r}: {faults}") from None

    def register(self) -> None:
        """Register the new ones, in the caller's transaction."""
        if not self.file or self.dry_run:
            return
        descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._written = True
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            for name in self.new:
                file.write(f"{roster.register(name=name)[1]} {name}\n")

    def forget(self) -> None:
        """Delete the file: nobody has these tokens."""
        if self.file and self._written:
            self.file.unlink()
