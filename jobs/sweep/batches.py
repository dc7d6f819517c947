"""Grade due leases and act on them, in batches that do not block bots."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from datetime import datetime
from itertools import chain, islice
from operator import itemgetter
from typing import TypeVar

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Now
from psycopg.errors import LockNotAvailable

from bots import health
from bots.models import Bot
from bots.states import HealthStatus
from jobs import lifecycle
from jobs.models import Job, JobQuerySet
from jobs.states import HELD, JobStatus
from jobs.sweep import suspects, verdicts
from jobs.sweep.result import SweepAction, Swept
from jobsite.lib.planner import any_of, fenced

#: How many due leases are listed at once, to be swept in batches of `SWEEP_BATCH`, bot by bot.
LEASES_LISTED = 50_000
#: How long the second try waits for the row of a bot that was locked at the first.
LOCK_TIMEOUT = "2s"
#: A due lease and its holder: `(job id, bot id)`.
Due = tuple[int, int]
Row = TypeVar("Row")


def due_batches(kind: str | None, began: datetime) -> Iterator[list[Due]]:
    """List leases that were due when the sweep began, each once: the longest due first, then bot by bot."""
    due = Job.objects.held().filter(deadline_at__lte=began).order_by("deadline_at", "pk")
    if kind is not None:
        due = due.filter(kind=kind)
    rest = due
    while rows := list(rest.values_list("pk", "claimed_by_id", Value(began) - F("deadline_at"))[:LEASES_LISTED]):
        # Bot by bot, so that few batches lock the same bot, and each of them few bots.
        yield from in_batches(sorted(((job, bot) for job, bot, _ in rows), key=itemgetter(1, 0)))
        if len(rows) < LEASES_LISTED:
            return
        # Continue after the last one. A lease that fell due since then is for the next sweep.
        last, _, late = rows[-1]
        rest = due.filter(Q(deadline_at__gt=began - late) | Q(pk__gt=last), deadline_at__gte=began - late)


def in_batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Split into lists of at most `SWEEP_BATCH`."""
    rest = iter(rows)
    while batch := list(islice(rest, settings.SWEEP_BATCH)):
        yield batch


def still_due(batch: list[Due]) -> JobQuerySet:
    """Those of these leases that are still due: a bot may have reported, or another sweep may have acted."""
    due = fenced(Q(status__in=HELD, deadline_at__lte=Now()))
    return Job.objects.filter(any_of("pk", [job for job, _ in batch]), due).order_by("pk")


def sweep_batches(batches: Iterator[list[Due]]) -> Iterator[tuple[Swept, list[Due]]]:
    """Sweep all batches, in order, some in parallel. Yields the result of each and the leases that it skipped."""
    several = list(islice(batches, 2))
    if len(several) < 2 or settings.SWEEP_WORKERS < 2 or connection.in_atomic_block:
        # All of it belongs to the caller's transaction, which other connections cannot see.
        for batch in chain(several, batches):
            part = Swept()
            yield part, _sweep_batch(part, batch)
        return
    pool = ThreadPoolExecutor(settings.SWEEP_WORKERS, thread_name_prefix="sweep")
    running: deque[Future[tuple[Swept, list[Due]]]] = deque()
    try:
        for batch in chain(several, batches):
            running.append(pool.submit(copy_context().run, _sweep_in_thread, batch))
            if len(running) > settings.SWEEP_WORKERS:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _sweep_in_thread(batch: list[Due]) -> tuple[Swept, list[Due]]:
    part = Swept()
    try:
        return part, _sweep_batch(part, batch)
    finally:
        # The connection of this thread goes back to the pool.
        connection.close()


def _sweep_batch(swept: Swept, batch: list[Due], *, wait: bool = False) -> list[Due]:
    """Sweep one batch in one transaction. Returns the leases it skipped because their bots were locked."""
    with transaction.atomic():
        _set_local("synchronous_commit", "off")
        checks = lifecycle.check_leases(still_due(batch).select_for_update(no_key=True, skip_locked=True))
        if wait:
            _set_local("lock_timeout", LOCK_TIMEOUT)
        bots = lifecycle.lock_bots(Bot.objects.filter(any_of("pk", {check.bot_id for check in checks})), wait=wait)
        mine = [check for check in checks if check.bot_id in bots]
        if mine:
            _act(swept, mine, bots)
    return [(check.lease.job_id, check.bot_id) for check in checks if check.bot_id not in bots]


def _set_local(setting: str, value: str) -> None:
    """Set this for the rest of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config(%s, %s, true)", [setting, value])


def make_durable() -> None:
    """Flush all batches to disk at once. They commit asynchronously: what a crash loses is still due."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_logical_emit_message(true, 'jobsite', 'swept')")


def retry_busy(swept: Swept, busy: list[Due]) -> None:
    """Sweep leases of bots whose rows were locked, and wait for these: most locks are a claim's, for milliseconds."""
    for batch in in_batches(busy):
        try:
            _sweep_batch(swept, batch, wait=True)
        except OperationalError as error:
            # A bot stays locked, perhaps by a forgotten session. The next sweep tries again.
            if not isinstance(error.__cause__, LockNotAvailable):
                raise


def count_decision(swept: Swept, decision: verdicts.Decision, *, every: bool = False) -> None:
    """Count a decision, and list it if the lease is past a limit; with `every` beyond `MAX_ACTIONS`, too."""
    swept.checked += 1
    name = {"expire": "expired", "fail": "failed", "flag": "flagged"}.get(decision.action)
    if name is not None:
        setattr(swept, name, getattr(swept, name) + 1)
    if decision.reason:
        lease = decision.check.lease
        becomes = None if decision.becomes is None else str(decision.becomes)
        action = SweepAction(decision.action, decision.check.bot_id, decision.reason, lease.job_id, lease.kind, becomes)
        if every:
            swept.actions.append(action)
        else:
            swept.list_actions([action])


def _act(swept: Swept, batch: list[lifecycle.LeaseCheck], bots: dict[int, lifecycle.Health]) -> None:
    """Act on one batch, whose jobs and bots this transaction has locked."""
    chosen: dict[str, list[verdicts.Decision]] = {}
    for decision in verdicts.decide_all(batch):
        count_decision(swept, decision)
        chosen.setdefault(decision.action, []).append(decision)
    reasons = {v.check.lease.job_id: v.reason for decisions in chosen.values() for v in decisions}
    # First the grades, while the leases exist; a bot keeps the grade and reason of a lease that expires.
    changes = lifecycle.regrade_locked(bots, seen=batch)
    swept.recovered += sum(after == HealthStatus.NORMAL for _, after in changes.values())
    ids = {action: [v.check.lease.job_id for v in decisions] for action, decisions in chosen.items()}
    swept.flagged += lifecycle.flag(ids.get("flag", []), by=lifecycle.SWEEP, reasons=reasons) - len(ids.get("flag", []))
    lifecycle.schedule_checks(
        {
            v.check.lease.job_id: health.next_look(v.check.lease, v.check.limits)
            for action in ("wait", "flag")
            for v in chosen.get(action, [])
        }
    )
    expired = _expire(chosen.get("expire", []), reasons)
    lifecycle.give_up(ids.get("fail", []), by=lifecycle.SWEEP, reasons=reasons)
    # The last attempt expired: the job has failed.
    swept.failed += sum(change.status == JobStatus.FAILED for change in expired)


def _expire(decisions: list[verdicts.Decision], reasons: dict[int, str]) -> list[lifecycle.Change]:
    """Expire these leases. Another instance gets such a job first, if there is one that is well."""
    if not decisions:
        return []
    checks = {v.check.lease.job_id: v.check for v in decisions}
    return lifecycle.expire(
        checks,
        by=lifecycle.SWEEP,
        reasons=reasons,
        last={v.check.lease.job_id: v.error for v in decisions if v.hung},
        others_first=suspects.have_others(checks.values()),
        probes=[job for job, check in checks.items() if check.probe],
    )
