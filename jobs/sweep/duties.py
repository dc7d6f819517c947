"""What follows every sweep, in this order: drop what was not begun in time, open gates, fire schedules, count what has
ended, delete what is old, record the sweep.
"""

from bots.login import attempts
from jobs import lifecycle
from jobs.error_groups import counting
from jobs.models import SweepRun
from jobs.schedules import ledger
from jobs.schedules.firing import Firing
from jobs.stats import rollup
from jobs.sweep import retention
from jobs.sweep.result import Swept
from jobsite.lib.clock import database_now


def follow_up(swept: Swept, *, full: bool) -> None:
    """Do what follows a sweep that changed something. One of a single kind (not `full`) only adds up."""
    if full:
        # Where no web process runs, nobody else does this, nor fires schedules.
        swept.dropped += lifecycle.drop(by=lifecycle.SWEEP)
        lifecycle.repair_gates()
        Firing().fire_due()
    # Nothing is deleted that is not added up.
    rollup.add_closed_minutes()
    counting.count_failures()
    if full:
        swept.pruned = retention.prune()
        ledger.prune()
        counting.prune()
        attempts.prune()
        lifecycle.prune_instances()
        lifecycle.prune_gates()
        _record(swept)


def record_incidents(swept: Swept) -> None:
    """Write what the pass over incidents did to this sweep's record, unless a later one is on record already."""
    if swept.began is not None:
        SweepRun.objects.filter(started_at=swept.began).update(counts=swept.counts())


def _record(swept: Swept) -> None:
    """Record that a full sweep came to its end, in place of the record of the one before."""
    assert swept.began is not None  # noqa: S101 - it has begun
    ended = database_now()
    took = (ended - swept.began).total_seconds()
    run = SweepRun(started_at=swept.began, finished_at=ended, took=took, counts=swept.counts())
    fields = ["started_at", "finished_at", "took", "counts"]
    SweepRun.objects.bulk_create([run], update_conflicts=True, unique_fields=["id"], update_fields=fields)
