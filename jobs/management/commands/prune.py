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
from jobsite.lib.loop import DATABASE_AWAY, error_line


class Command(BaseCommand):
    help = (
        "Delete finished jobs that are older than their kind's keep_for, with their history, until none is left. "
        "Each sweep does some of it; this is for a backlog. Safe to run twice at once, and beside the sweep."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="say how many there are, and change nothing")

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        deleted: dict[str, int] = {}
        began = time.monotonic()
        try:
            self._prune(deleted, dry_run)
        except DATABASE_AWAY as error:
            raise CommandError(f"Failed. {_summary(deleted, dry_run)} {error_line(error)}") from None
        except KeyboardInterrupt:
            raise CommandError(f"Interrupted. {_summary(deleted, dry_run)}", returncode=130) from None
        self.stdout.write(_summary(deleted, dry_run))
        took = time.monotonic() - began
        if deleted and not dry_run:
            # Not on standard output, which is the same at each run.
            self.stderr.write(f"{took:.1f} s, {_figure(round(sum(deleted.values()) / max(took, 0.001)))} jobs a second")

    def _prune(self, deleted: dict[str, int], dry_run: bool) -> None:
        before = rollup.complete_until()
        if before is None:
            raise CommandError(
                "The figures have not added up any jobs yet, and what is deleted before would be missing in them. "
                "Run manage.py sweep_stuck first. Nothing was deleted."
            )
        kinds = retention.old(before)
        if dry_run:
            deleted.update({each.kind: each.count() for each in kinds})
        else:
            _delete(kinds, deleted)
        self._warn_of_uncounted(before)

    def _warn_of_uncounted(self, before: datetime) -> None:
        """Name kinds with old jobs that are not in the figures yet: if a sweep runs, only where `keep_for` is short."""
        waiting = [each.kind for each in retention.old() if each.until > before]
        if waiting:
            self.stderr.write(
                f"What ended since {before:%Y-%m-%d %H:%M} UTC is not in the figures yet and stays until a sweep has "
                f"added it up: {', '.join(waiting)}."
            )


def _delete(kinds: list[Old], deleted: dict[str, int]) -> None:
    # On a terminal they are counted first, for the progress bar.
    shown = sys.stderr.isatty()
    with _progress(sum(each.count() for each in kinds) if shown else None, shown) as show:
        for each in kinds:

            def count(n: int, kind: str = each.kind) -> None:
                deleted[kind] = deleted.get(kind, 0) + n
                show(n)

            retention.prune_kind(each, each_batch=count)


@contextmanager
def _progress(total: int | None, shown: bool) -> Iterator[Callable[[int], None]]:
    """Show a progress bar if standard error is a terminal. Yields a function that takes the number just deleted."""
    columns = (TextColumn("Deleting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not shown, transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda n: progress.advance(task, n)


def _summary(deleted: dict[str, int], dry_run: bool) -> str:
    """`Pruned 1 200 jobs: sum 1 000, divide 200.`"""
    n = sum(deleted.values())
    text = f"{'Would prune' if dry_run else 'Pruned'} {_figure(n)} job{'' if n == 1 else 's'}"
    by_kind = ", ".join(f"{kind} {_figure(count)}" for kind, count in sorted(deleted.items()))
    return f"{text}: {by_kind}." if by_kind else f"{text}."


def _figure(n: int) -> str:
    return f"{n:,}".replace(",", " ")
