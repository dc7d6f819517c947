"""Run a sweep: grade what is due, act by each kind's policy, and record what happened."""

import secrets
from collections.abc import Callable

from jobs.models import Job
from jobs.sweep import suspects
from jobs.sweep.batches import Due, due_batches, make_durable, retry_busy, sweep_batches
from jobs.sweep.duties import follow_up
from jobs.sweep.fleet import count_bots, sweep_bots
from jobs.sweep.preview import preview_bots, preview_leases
from jobs.sweep.result import Swept
from jobsite.lib import log_context, site
from jobsite.lib.clock import database_now


def sweep(
    *, kind: str | None = None, dry_run: bool = False, each_batch: Callable[[Swept], None] | None = None
) -> Swept:
    """Check every lease that is due, then every bot that is not healthy or not seen.

    `kind` limits the leases to one kind. `dry_run` only fills `actions`. `each_batch` is called with the counts so far
    after each batch; what it raises ends the sweep, with that batch committed, and those that were
    running. `SWEEP_WORKERS` batches run in parallel, unless the caller has a transaction open.
    """
    with log_context.begin(sweep=secrets.token_hex(4)):
        return _sweep(kind, dry_run, each_batch)


def _sweep(kind: str | None, dry_run: bool, each_batch: Callable[[Swept], None] | None) -> Swept:
    if not dry_run:
        # Behind a pooler a connection outlives its server, and nobody else asks for as long as no new one is made.
        site.compare_now()
    began = database_now()
    swept = Swept(began=began)
    busy: list[Due] = []
    if dry_run:
        for batch in due_batches(kind, began):
            preview_leases(swept, batch)
            if each_batch:
                each_batch(swept)
        preview_bots(swept, kind)
        swept.dropped = Job.objects.too_late().count() if kind is None else 0
    else:
        for part, left in sweep_batches(due_batches(kind, began)):
            swept.add(part)
            busy += left
            if each_batch:
                each_batch(swept)
        retry_busy(swept, busy)
        suspects.judge(swept, kind)
        sweep_bots(swept, began)
        if swept.checked:
            make_durable()
    count_bots(swept)
    if not dry_run:
        follow_up(swept, full=kind is None)
    return swept
