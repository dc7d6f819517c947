"""`manage.py prune`: delete finished jobs that are older than their kind keeps them."""

import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from jobs.stats import rollup
from jobs.sweep import retention
from jobs.sweep.retention import Old
from jobsite.lib.loop import DATABASE_AWAY, one_line


class Command(BaseCommand):
    help = (
        "Delete finished jobs that are older than their kind's keep_for, with their history, until none is left. "
        "Each sweep does some of it; this is for a backlog. Safe to run twice at once, and beside the sweep."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="say how many there are, and change nothing")

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        gone: dict[str, int] = {}
        began = time.monotonic()
        try:
            self._work(gone, dry_run)
        except DATABASE_AWAY as error:
            raise CommandError(f"Failed. {_pruned(gone, dry_run)} {one_line(error)}") from None
        except KeyboardInterrupt:
            raise CommandError(f"Interrupted. {_pruned(gone, dry_run)}", returncode=130) from None
        self.stdout.write(_pruned(gone, dry_run))
        took = time.monotonic() - began
        if gone and not dry_run:
            # Beside the answer, which says the same each time.
            self.stderr.write(f"{took:.1f} s, {_figure(round(sum(gone.values()) / max(took, 0.001)))} jobs a second")

    def _work(self, gone: dict[str, int], dry_run: bool) -> None:
        before = rollup.complete_until()
        if before is None:
            raise CommandError(
                "The figures have not added up any jobs yet, and what is deleted before would be missing in them. "
                "Run manage.py sweep_stuck first. Nothing was deleted."
            )
        kinds = retention.old(before)
        if dry_run:
            gone.update({each.kind: each.count() for each in kinds})
        else:
            _prune(kinds, gone)
        self._say_what_waits(before)

    def _say_what_waits(self, before: datetime) -> None:
        """Old jobs that stay for now: with a sweep that runs there are some only where `keep_for` is very short."""
        waiting = [each.kind for each in retention.old() if each.until > before]
        if waiting:
            self.stderr.write(
                f"What ended since {before:%Y-%m-%d %H:%M} UTC is not in the figures yet and stays until a sweep has "
                f"added it up: {', '.join(waiting)}."
            )


def _prune(kinds: list[Old], gone: dict[str, int]) -> None:
    # On a terminal all are counted first, for a bar that says how far it is.
    shown = sys.stderr.isatty()
    with _progress(sum(each.count() for each in kinds) if shown else None, shown) as show:
        for each in kinds:

            def count(n: int, kind: str = each.kind) -> None:
                gone[kind] = gone.get(kind, 0) + n
                show(n)

            retention.prune_kind(each, each_batch=count)


@contextmanager
def _progress(total: int | None, shown: bool) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, where that is a terminal; what is yielded takes how many more are done."""
    columns = (TextColumn("Deleting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not shown, transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda n: progress.advance(task, n)


def _pruned(gone: dict[str, int], dry_run: bool) -> str:
    """`Pruned 1 200 jobs: sum 1 000, divide 200.`"""
    n = sum(gone.values())
    said = f"{'Would prune' if dry_run else 'Pruned'} {_figure(n)} job{'' if n == 1 else 's'}"
    return said + (": " + ", ".join(f"{kind} {_figure(of)}" for kind, of in sorted(gone.items())) if gone else "") + "."


def _figure(n: int) -> str:
    return f"{n:,}".replace(",", " ")
