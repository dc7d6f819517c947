"""Load jobs line by line, from a file or over the network. All or none, unless bad lines are skipped."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

from django.db import transaction

from jobs.enqueue import insert
from jobs.enqueue.copy import Rows
from jobs.enqueue.files import BadLine
from jobs.enqueue.new_job import NewJob
from jobs.lifecycle import By
from jobs.states import Added
from jobsite.lib import outcomes
from jobsite.lib.errors import BadRequest

#: How many bad lines are reported one by one.
MAX_REPORTED = 100


@dataclass
class Loaded:
    """The result: counts, the first bad lines, and the ids of the jobs where they were requested."""

    created: int = 0
    existing: int = 0
    replaced: int = 0
    bad: int = 0
    bad_lines: list[BadLine] = field(default_factory=list)
    ids: list[int] | None = None
    #: What became of each, with `ids`.
    outcomes: list[Added] | None = None
    #: Lines read, without empty ones.
    lines: int = 0


def load(
    items: Iterable[NewJob | BadLine],
    *,
    skip_bad: bool = False,
    dry_run: bool = False,
    fast_source: bool = False,
    max_ids: int = 0,
    count: int | None = None,
    before_commit: Callable[[int, int, set[str]], None] | None = None,
    by: By = insert.BY_COMMAND,
) -> Loaded:
    """Read all `items` and enqueue the jobs; none of them if a line is bad, unless `skip_bad`.

    Nothing is enqueued when `items` raises, when the number of lines is not `count` (BadRequest), and with `dry_run`,
    which only counts. Memory is bounded. The database is used after all lines are read, or with `fast_source` while
    they are read. Otherwise the result has the ids of all jobs, in order, when they are at most `max_ids`.
    `by` is who replaces jobs that have a new one's key. `before_commit` gets the numbers of new and of
    replaced jobs, and of a source that is not fast their kinds; what it raises takes everything back.
    """
    loaded = Loaded()
    jobs = _jobs(items, loaded, skip_bad=skip_bad)
    with Rows() as rows, ExitStack() as stack, outcomes.before_commit():
        ahead = 0
        if fast_source:
            stack.enter_context(transaction.atomic())
            ahead, jobs = insert.enqueue_ahead(jobs)
        for job in jobs:
            rows.add(job)
        if count not in (None, loaded.lines):
            raise BadRequest(
                f"{loaded.lines} jobs came, and {count} were announced. Nothing was enqueued.", field="count"
            )
        if loaded.bad and not skip_bad:
            if fast_source:
                transaction.set_rollback(True)
            return loaded
        if not fast_source:
            stack.enter_context(transaction.atomic())
        done = insert.enqueue_rows(rows, ids=rows.count <= max_ids, by=by)
        if before_commit is not None:
            before_commit(ahead + done.created, done.replaced, set(rows.kinds))
        if dry_run:
            transaction.set_rollback(True)
    loaded.created, loaded.existing, loaded.replaced = ahead + done.created, done.existing, done.replaced
    if done.jobs is not None and not ahead:
        loaded.ids, loaded.outcomes = [job_id for job_id, _ in done.jobs], [added for _, added in done.jobs]
    return loaded


def _jobs(items: Iterable[NewJob | BadLine], loaded: Loaded, *, skip_bad: bool) -> Iterator[NewJob]:
    """Yield the jobs and count bad lines. After a bad line the rest is only read, to report all bad lines at once."""
    for item in items:
        loaded.lines += 1
        if isinstance(item, BadLine):
            loaded.bad += 1
            if len(loaded.bad_lines) < MAX_REPORTED:
                loaded.bad_lines.append(item)
        elif skip_bad or not loaded.bad:
            yield item
