import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from jobs import lifecycle
from jobs.intake import BadFile, BadLine, read_csv, read_ndjson
from jobs.lifecycle import NewJob

#: How many jobs, or how many bytes of the file, go to the database at once.
BATCH_JOBS, BATCH_BYTES = 1000, 8 * 1024 * 1024
#: How many bad lines are told one by one.
TOLD = 100


@dataclass
class Loaded:
    """What became of the file so far."""

    created: int = 0
    existing: int = 0
    bad: int = 0
    told: list[BadLine] = field(default_factory=list)


class Command(BaseCommand):
    help = (
        "Load jobs from a file, or from standard input (-): NDJSON, one object a line, or CSV with a header. "
        "Fields: kind, payload, priority, run_at, key, max_attempts. All or none, unless --skip-bad."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", help="the file, or - for standard input")
        parser.add_argument("--format", choices=["ndjson", "csv"], help="default: csv for *.csv, otherwise ndjson")
        parser.add_argument("--skip-bad", action="store_true", help="load the good lines and report the bad ones")
        parser.add_argument("--dry-run", action="store_true", help="say what would be loaded, and change nothing")

    def handle(self, *, file: str, format: str | None, skip_bad: bool, dry_run: bool, **options: Any) -> None:
        as_csv = format == "csv" if format else file.lower().endswith(".csv")
        loaded = Loaded()
        try:
            with _opened(file) as (stream, size), transaction.atomic(), _progress(size) as show:
                _load(Counted(stream, show), read_csv if as_csv else read_ndjson, loaded, skip_bad=skip_bad)
                if dry_run or (loaded.bad and not skip_bad):
                    transaction.set_rollback(True)
        except BadFile as error:
            raise CommandError(f"{file}: {error}. Nothing was loaded.") from None
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}. Nothing was loaded.") from None
        except KeyboardInterrupt:
            raise CommandError("Interrupted. Nothing was loaded.", returncode=130) from None
        self._tell(loaded, skip_bad=skip_bad, dry_run=dry_run)

    def _tell(self, loaded: Loaded, *, skip_bad: bool, dry_run: bool) -> None:
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


class Counted:
    """A stream that counts what is read from it, and shows it."""

    def __init__(self, stream: IO[bytes], show: Any) -> None:
        self.stream, self.show, self.read = stream, show, 0

    def readline(self, most: int = -1) -> bytes:
        line = self.stream.readline(most)
        self.read += len(line)
        self.show(self.read)
        return line


def _load(stream: Counted, read: Any, loaded: Loaded, *, skip_bad: bool) -> None:
    """Read all of `stream`; one batch is in memory at a time."""
    batch: list[NewJob] = []
    since = 0

    def flush() -> None:
        results = lifecycle.enqueue(batch) if batch else []
        created = sum(new for _, new in results)
        loaded.created += created
        loaded.existing += len(results) - created
        batch.clear()

    for item in read(stream):
        if isinstance(item, BadLine):
            loaded.bad += 1
            if len(loaded.told) < TOLD:
                loaded.told.append(item)
        elif skip_bad or not loaded.bad:
            # After a bad line the rest is only read, so that all of them are told at once.
            batch.append(item)
        if len(batch) >= BATCH_JOBS or stream.read - since >= BATCH_BYTES:
            flush()
            since = stream.read
    flush()


@contextmanager
def _opened(file: str) -> Iterator[tuple[IO[bytes], int | None]]:
    if file == "-":
        yield sys.stdin.buffer, None
    else:
        with Path(file).open("rb") as stream:
            yield stream, Path(file).stat().st_size


@contextmanager
def _progress(size: int | None) -> Iterator[Any]:
    """A bar on standard error, where that is a terminal; what is yielded takes the bytes read so far."""
    columns = (TextColumn("Enqueueing"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as progress:
        task = progress.add_task("", total=size)
        yield lambda read: progress.update(task, completed=read)


def _count(n: int, what: str) -> str:
    return f"{_figure(n)} {what}{'' if n == 1 else 's'}"


def _figure(n: int) -> str:
    return f"{n:,}".replace(",", " ")
