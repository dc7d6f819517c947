"""`manage.py enqueue`: load jobs from a file or from standard input."""

import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from jobs.enqueue.files import BadFile, read_csv, read_ndjson
from jobs.enqueue.load import Loaded, load


class Command(BaseCommand):
    help = (
        "Load jobs from a file, or from standard input (-): NDJSON, one object a line, or CSV with a header. "
        "Fields: kind, payload, priority, run_at, key, max_attempts. All or none, unless --skip-bad."
    )

    # They would build the whole API and the admin first, a third of the time that a short file takes.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", help="the file, or - for standard input")
        parser.add_argument("--format", choices=["ndjson", "csv"], help="default: csv for *.csv, otherwise ndjson")
        parser.add_argument("--skip-bad", action="store_true", help="load the good lines and report the bad ones")
        parser.add_argument("--dry-run", action="store_true", help="say what would be loaded, and change nothing")

    def handle(self, *, file: str, format: str | None, skip_bad: bool, dry_run: bool, **options: Any) -> None:
        as_csv = format == "csv" if format else file.lower().endswith(".csv")
        read = read_csv if as_csv else read_ndjson
        began = time.monotonic()
        try:
            with _opened(file) as (stream, size), _progress(size) as show:
                # A file is there at once; what comes by a pipe may take its time.
                loaded = load(read(Watched(stream, show)), skip_bad=skip_bad, dry_run=dry_run, quick=size is not None)
        except BadFile as error:
            raise CommandError(f"{file}: {error}. Nothing was loaded.") from None
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}. Nothing was loaded.") from None
        except KeyboardInterrupt:
            raise CommandError("Interrupted. Nothing was loaded.", returncode=130) from None
        self._tell(loaded, time.monotonic() - began, skip_bad=skip_bad, dry_run=dry_run)

    def _tell(self, loaded: Loaded, took: float, *, skip_bad: bool, dry_run: bool) -> None:
        for line in loaded.told:
            self.stderr.write(f"line {line.number}: {line.message}")
        if loaded.bad > len(loaded.told):
            self.stderr.write(f"and {_count(loaded.bad - len(loaded.told), 'more bad line')}")
        if loaded.bad and not skip_bad:
            raise CommandError(f"{_count(loaded.bad, 'bad line')}. Nothing was loaded; --skip-bad loads the others.")
        were = "was" if loaded.existing == 1 else "were"
        said = f"{'Would enqueue' if dry_run else 'Enqueued'} {_count(loaded.created, 'job')}"
        said += f"; {_figure(loaded.existing)} {were} there already." if loaded.existing else "."
        if loaded.bad:
            said += f" {_count(loaded.bad, 'bad line')} left out."
        self.stdout.write(said)
        rate = round(loaded.lines / max(took, 0.001))
        # Beside the answer, which says the same each time.
        self.stderr.write(f"{_count(loaded.lines, 'line')} in {took:.1f} s, {_figure(rate)} a second")


class Watched:
    """A stream that shows how much has been read from it."""

    def __init__(self, stream: IO[bytes], show: Callable[[int], None]) -> None:
        self.stream, self.show, self.done = stream, show, 0

    def read(self, size: int, /) -> bytes:
        chunk = self.stream.read(size)
        self.done += len(chunk)
        self.show(self.done)
        return chunk


@contextmanager
def _opened(file: str) -> Iterator[tuple[IO[bytes], int | None]]:
    if file == "-":
        yield sys.stdin.buffer, None
    else:
        path = Path(file)
        with path.open("rb") as stream:
            yield stream, path.stat().st_size if path.is_file() else None


@contextmanager
def _progress(size: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, where that is a terminal; what is yielded takes the bytes read so far."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as progress:
        task = progress.add_task("Reading", total=size)

        def show(done: int) -> None:
            # All is read, and what follows is the database's work, of which nothing is heard until it is done.
            progress.update(task, completed=done, description="Enqueueing" if done == size else "Reading")

        yield show


def _count(n: int, what: str) -> str:
    return f"{_figure(n)} {what}{'' if n == 1 else 's'}"


def _figure(n: int) -> str:
    return f"{n:,}".replace(",", " ")
