"""`manage.py seed`: fill a development database with a week of history, or with a bad night."""

import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from jobsite.dev import night as bad_night
from jobsite.dev import seeding


class Command(BaseCommand):
    help = "Fill a development database with a week of believable history, a fleet of bots and what they hold now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("rows", type=int, help="how many finished jobs")
        parser.add_argument("--bots", type=int, default=48, help="how many bots (default: 48)")
        parser.add_argument("--night", action="store_true", help="a bad night: 203 bots, 97 of them stuck")

    def handle(self, *, rows: int, bots: int, night: bool, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("This writes made-up jobs. It runs only with DEBUG=1, and never in production.")
        if rows < 1 or bots < 1:
            raise CommandError("Give the number of jobs, and of bots, as a positive number.")
        began = time.monotonic()
        columns = (TextColumn("Seeding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        console = Console(stderr=True)
        with Progress(*columns, console=console, disable=not sys.stderr.isatty(), transient=True) as progress:
            task = progress.add_task("", total=rows)
            if night:
                bots = bad_night.seed(rows, lambda n: progress.advance(task, n))
            else:
                seeding.seed(rows, bots, lambda n: progress.advance(task, n))
        took = time.monotonic() - began
        self.stdout.write(f"Wrote {rows} jobs of the past and {bots} bots in {took:.0f} s.")
