import json
import signal
import sys
import threading
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, close_old_connections
from rich.console import Console
from rich.table import Table

from bots.models import Bot
from jobs.models import JobKind
from jobs.sweep import Swept, sweep


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds") from None
    if not 0 < seconds <= 86_400:
        raise ArgumentTypeError("the pause between sweeps must be between 0 and 86 400 seconds")
    return seconds


class Command(BaseCommand):
    help = "Grade every bot's health and return the jobs that nobody works on. Safe to run twice at once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object a sweep")
        parser.add_argument("--kind", metavar="K", help="look only at leases of this kind")
        parser.add_argument("--loop", type=_seconds, metavar="SECONDS", help="sweep again and again, with this pause")

    def handle(self, *, dry_run: bool, json: bool, kind: str | None, loop: float | None, **options: Any) -> None:
        if kind is not None and not JobKind.objects.filter(name=kind).exists():
            known = ", ".join(JobKind.objects.values_list("name", flat=True)[:20]) or "none yet"
            raise CommandError(f"--kind: there is no kind called {kind!r}. Kinds: {known}.")
        if loop is None:
            self._once(dry_run, json, kind)
            return
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        while not stop.is_set():
            try:
                self._once(dry_run, json, kind)
            except OperationalError as error:
                # The database is away for a moment; a loop that ended here would leave nobody watching.
                self.stderr.write(f"The sweep failed and will be tried again: {error}")
            close_old_connections()
            stop.wait(loop)

    def _once(self, dry_run: bool, as_json: bool, kind: str | None) -> None:
        swept = sweep(kind=kind, dry_run=dry_run)
        if as_json:
            self.stdout.write(json.dumps(swept.counts()))
            return
        if swept.actions and self.stdout.isatty():
            Console(file=sys.stdout).print(_table(swept))
        self.stdout.write(_summary(swept, dry_run))


def _summary(swept: Swept, dry_run: bool) -> str:
    figures = {name.replace("_", " "): n for name, n in swept.counts().items() if not name.startswith("incidents")}
    return ("Dry run: " if dry_run else "") + ", ".join(f"{name} {n}" for name, n in figures.items())


def _table(swept: Swept) -> Table:
    bots = dict(Bot.objects.filter(pk__in={row[2] for row in swept.actions}).values_list("pk", "name"))
    table = Table("job", "kind", "bot", "action", "why")
    for job_id, kind, bot_id, action, reason in swept.actions:
        table.add_row(str(job_id), kind, bots.get(bot_id, "?"), action, reason)
    return table
