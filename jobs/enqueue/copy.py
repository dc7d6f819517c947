"""Encode new jobs as rows of text for PostgreSQL's COPY, and send them."""

from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import Self

from django.db import connection
from pydantic_core import to_json

from jobs.enqueue.new_job import NewJob
from jobs.enqueue.statements import SQL
from jobs.states import OnConflict

#: Rows and bytes of one block.
BLOCK_ROWS, BLOCK_BYTES = 1000, 1024 * 1024
#: Blocks of rows in one `COPY`: PostgreSQL keeps something of each row in memory until its end.
COPY_BLOCKS = 100
#: Beyond this size the rows are kept on disk and not in memory.
MEMORY_BYTES = 8 * 1024 * 1024
#: A cell without a value.
NULL = b"\\N"


def row_of(job: NewJob, now: bytes = NULL, max_attempts: bytes = NULL, options: bytes = NULL) -> bytes:
    """Encode a job: kind, payload, priority, options, run_at, max_attempts; with the defaults that are given."""
    payload = to_json(job.payload)
    if b"\\" in payload:
        payload = payload.replace(b"\\", b"\\\\")
    if job.run_at is not None:
        now = job.run_at.isoformat().encode()
    if job.max_attempts is not None:
        max_attempts = b"%d" % job.max_attempts
    return b"%b\t%b\t%d\t%b\t%b\t%b\n" % (job.kind.encode(), payload, job.priority, options, now, max_attempts)


def _options_of(job: NewJob) -> bytes:
    """The key of a special job, and its other fields that few jobs have, as JSON. One without needs no other table."""
    given = job.options
    if job.key:
        given["key"] = job.key
    return to_json(given).replace(b"\\", b"\\\\")


class Rows:
    """Collect any number of new jobs, in order, with what must be known of them before the first is inserted.

    The database is not used before: a producer may take an hour to send them, and no transaction is open and no row
    locked. A context manager: its file is deleted at the end.
    """

    def __init__(self) -> None:
        self.count = 0
        #: How many there are of each kind.
        self.kinds = Counter[str]()
        #: How many of each kind have a time of their own.
        self.later = Counter[str]()
        #: Whether any has options, a key for example; replaces another; takes its kind's `max_attempts`.
        self.special = self.replaces = self.by_kind = False
        #: The groups that have jobs, each with its kind.
        self.groups = set[tuple[str, str]]()
        self._rows: list[bytes] = []
        self._weight = 0
        #: The bytes of each block in the file.
        self._blocks: list[int] = []
        self._file = SpooledTemporaryFile(max_size=MEMORY_BYTES)  # noqa: SIM115  closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def add(self, job: NewJob) -> None:
        """Append `job`. Its payload must be JSON."""
        special = job.is_special
        text = row_of(job, options=_options_of(job)) if special else row_of(job)
        self.count += 1
        self.kinds[job.kind] += 1
        if job.is_later:
            self.later[job.kind] += 1
        if special:
            self.special = True
            self.replaces = self.replaces or job.on_conflict == OnConflict.REPLACE
            if job.group:
                self.groups.add((job.kind, job.group))
        if job.max_attempts is None:
            self.by_kind = True
        self._rows.append(text)
        self._weight += len(text)
        if len(self._rows) >= BLOCK_ROWS or self._weight >= BLOCK_BYTES:
            self._flush()

    def _flush(self) -> None:
        block = b"".join(self._rows)
        self._blocks.append(len(block))
        self._file.write(block)
        self._rows.clear()
        self._weight = 0

    def blocks(self) -> Iterator[bytes]:
        """All rows, in blocks of complete rows."""
        if self._rows:
            self._flush()
        self._file.seek(0)
        for size in self._blocks:
            yield self._file.read(size)


def fill_defaults(block: bytes, *, now: bytes, max_attempts: bytes) -> bytes:
    """Set `run_at` and `max_attempts` where a row has none. For rows without options."""
    # Only these three cells can be `\N`, and no cell contains a bare tab: nothing else matches.
    block = block.replace(b"\t\\N\t\\N\t\\N\n", b"\t\\N\t%b\t%b\n" % (now, max_attempts))
    block = block.replace(b"\t\\N\t\\N\t", b"\t\\N\t%b\t" % now)
    return block.replace(b"\t\\N\n", b"\t%b\n" % max_attempts)


def prepend_ids(block: bytes, ids: Iterator[int]) -> bytes:
    """Put the next of `ids` before each row of a block."""
    return b"".join([b"%d\t%b\n" % (job_id, row) for row, job_id in zip(block[:-1].split(b"\n"), ids, strict=False)])


def copy_blocks(name: str, blocks: Iterator[bytes]) -> None:
    """Run a named `COPY` for these blocks of rows, once for each `COPY_BLOCKS` of them."""
    while first := next(blocks, None):
        with (
            connection.wrap_database_errors,
            connection.cursor() as cursor,
            cursor.copy(SQL.text(name)) as copy,
        ):
            for block in chain([first], islice(blocks, COPY_BLOCKS - 1)):
                copy.write(block)
