"""Many jobs at once, line by line, from a file or over the network. All or none, unless told otherwise."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

from django.db import transaction

from jobs.enqueue import insert
from jobs.enqueue.copy import Rows
from jobs.enqueue.files import BadLine
from jobs.enqueue.new_job import NewJob
from jobsite.lib.errors import BadRequest

#: How many bad lines are told one by one.
TOLD = 100


@dataclass
class Loaded:
    """What became of the lines: counts, the first bad ones, and the jobs' ids where they were asked for."""

    created: int = 0
    existing: int = 0
    bad: int = 0
    told: list[BadLine] = field(default_factory=list)
    ids: list[int] | None = None
    #: Lines that were read, without empty ones.
    lines: int = 0


def load(
    items: Iterable[NewJob | BadLine],
    *,
    skip_bad: bool = False,
    dry_run: bool = False,
    quick: bool = False,
    most_ids: int = 0,
    count: int | None = None,
) -> Loaded:
    """Read all `items` and enqueue the jobs among them: none if a line is bad, but for `skip_bad`.

    Whatever `items` raises ends it with nothing enqueued; so does another number of lines than `count` (BadRequest),
    and `dry_run`, which only counts. Memory stays small whatever there is to read. The database is not touched before
    all is read, unless `items` is `quick` to come: then it is at work meanwhile. Otherwise the ids of all jobs, in
    order, are told when there are at most `most_ids`.
    """
    loaded = Loaded()
    jobs = _jobs(items, loaded, skip_bad=skip_bad)
    with Rows() as rows, ExitStack() as stack:
        ahead = 0
        if quick:
            stack.enter_context(transaction.atomic())
            ahead, jobs = insert.enqueue_ahead(jobs)
        for job in jobs:
            rows.add(job)
        if count not in (None, loaded.lines):
            raise BadRequest(f"{loaded.lines} jobs came, and {count} were announced. Nothing was enqueued.")
        if loaded.bad and not skip_bad:
            if quick:
                transaction.set_rollback(True)
            return loaded
        if not quick:
            stack.enter_context(transaction.atomic())
        done = insert.enqueue_rows(rows, ids=rows.count <= most_ids)
        if dry_run:
            transaction.set_rollback(True)
    loaded.created, loaded.existing = ahead + done.created, done.existing
    loaded.ids = None if done.jobs is None or ahead else [job_id for job_id, _ in done.jobs]
    return loaded


def _jobs(items: Iterable[NewJob | BadLine], loaded: Loaded, *, skip_bad: bool) -> Iterator[NewJob]:
    """The jobs; bad lines are counted. After one the rest is only read, so that all of them are told at once."""
    for item in items:
        loaded.lines += 1
        if isinstance(item, BadLine):
            loaded.bad += 1
            if len(loaded.told) < TOLD:
                loaded.told.append(item)
        elif skip_bad or not loaded.bad:
            yield item
