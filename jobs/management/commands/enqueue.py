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

from bots import audit
from bots.acts import Act
from jobs.enqueue.csv_file import COLUMNS, is_csv, read_csv
from jobs.enqueue.files import BadFile, read_ndjson
from jobs.enqueue.load import Loaded, load
from jobs.enqueue.refusals import recorded
from jobs.errors import TooManyPending
from jobsite.lib import outcomes
from jobsite.lib.loop import error_line
from jobsite.lib.plain_text import one_line


class Command(BaseCommand):
    help = (
        "Load jobs from a file, or from standard input (-): NDJSON, one object a line, a JSON array, or CSV with a "
        f"header. Fields: {', '.join(COLUMNS)}. All or none, unless --skip-bad."
    )

    # They would load the API and the admin, a third of the time that a short file takes.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", help="the file, or - for standard input")
        parser.add_argument(
            "--format", choices=["ndjson", "csv"], help="default: csv for *.csv and *.tsv, otherwise ndjson"
        )
        parser.add_argument("--skip-bad", action="store_true", help="load the good lines and report the bad ones")
        parser.add_argument("--dry-run", action="store_true", help="say what would be loaded, and change nothing")

    def handle(self, *, file: str, format: str | None, skip_bad: bool, dry_run: bool, **options: Any) -> None:
        as_csv = format == "csv" if format else is_csv(file)
        read = read_csv if as_csv else read_ndjson
        began = time.monotonic()

        def record(created: int, replaced: int, kinds: set[str]) -> None:
            if created or replaced:
                after = {"created": created, "file": file} | ({"replaced": replaced} if replaced else {})
                one = audit.Subject("job", "", _count(created + replaced, "job"), after=after)
                audit.record(Act.ENQUEUE, [one], by=audit.COMMAND)

        try:
            with _opened(file) as (stream, size), _progress(size) as show:
                lines = read(ProgressStream(stream, show))
                # A file can be read without waiting; a pipe may be slow.
                fast = size is not None
                with recorded("manage.py enqueue"):
                    loaded = load(lines, skip_bad=skip_bad, dry_run=dry_run, fast_source=fast, before_commit=record)
        except BadFile as error:
            raise CommandError(f"{file}: {error}. Nothing was loaded.") from None
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}. Nothing was loaded.") from None
        except TooManyPending as error:
            raise CommandError(error.detail) from None
        except KeyboardInterrupt as error:
            raise CommandError(f"Interrupted. {_what_was_loaded(error)}", returncode=130) from None
        except outcomes.ERRORS as error:
            raise CommandError(f"{error_line(error).rstrip('.')}. {_what_was_loaded(error)}") from None
        self._report(loaded, time.monotonic() - began, skip_bad=skip_bad, dry_run=dry_run)

    def _report(self, loaded: Loaded, took: float, *, skip_bad: bool, dry_run: bool) -> None:
        for line in loaded.bad_lines:
            self.stderr.write(one_line(f"{line.place}: {line.message}"))
        if loaded.bad > len(loaded.bad_lines):
            self.stderr.write(f"and {_count(loaded.bad - len(loaded.bad_lines), 'more bad line')}")
        if loaded.bad and not skip_bad:
            raise CommandError(f"{_count(loaded.bad, 'bad line')}. Nothing was loaded; --skip-bad loads the others.")
        were = "was" if loaded.existing == 1 else "were"
        summary = f"{'Would enqueue' if dry_run else 'Enqueued'} {_count(loaded.created, 'job')}"
        summary += f", replaced {_figure(loaded.replaced)} with the same key" if loaded.replaced else ""
        summary += f"; {_figure(loaded.existing)} {were} there already." if loaded.existing else "."
        if loaded.bad:
            summary += f" {_count(loaded.bad, 'bad line')} left out."
        self.stdout.write(summary)
        rate = round(loaded.lines / max(took, 0.001))
        # Not on standard output, which is the same at each run.
        self.stderr.write(f"{_count(loaded.lines, 'line')} in {took:.1f} s, {_figure(rate)} a second", str)


class ProgressStream:
    """A stream that reports how much has been read from it."""

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
        # A pipe is opened once somebody writes to it.
        with outcomes.before_commit():
            opened = path.open("rb")
        with opened as stream:
            yield stream, path.stat().st_size if path.is_file() else None


@contextmanager
def _progress(size: int | None) -> Iterator[Callable[[int], None]]:
    """Show a progress bar if standard error is a terminal. Yields a function that takes the bytes read so far."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as progress:
        task = progress.add_task("Reading", total=size)

        def show(done: int) -> None:
            # After the last byte the database works, which reports no progress.
            progress.update(task, completed=done, description="Enqueueing" if done == size else "Reading")

        yield show


def _what_was_loaded(error: BaseException) -> str:
    if outcomes.nothing_done(error):
        return "Nothing was loaded."
    return "Whether the jobs were loaded is not known. Jobs with keys may be loaded again; look for others first."


def _count(n: int, what: str) -> str:
    return f"{_figure(n)} {what}{'' if n == 1 else 's'}"


def _figure(n: int) -> str:
    return f"{n:,}".replace(",", " ")
