"""Grade due leases and act on them, in batches that hold up nobody."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from datetime import datetime
from itertools import chain, islice
from operator import itemgetter

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
from jobs.sweep import verdicts
from jobs.sweep.result import NAMED, Act, Swept
from jobsite.lib.planner import among, unplanned

#: How many due leases are listed at once; they are then done in batches of `SWEEP_BATCH`, bot by bot.
LISTED = 50_000
#: How long the second try waits for a bot whose row somebody had locked at the first.
PATIENCE = "2s"
#: A lease that is due, and who holds it: `(job id, bot id)`.
Due = tuple[int, int]


def due_batches(kind: str | None, began: datetime) -> Iterator[list[Due]]:
    """Leases that were due when the sweep began, each once: the longest due first, and then bot by bot."""
    due = Job.objects.held().filter(deadline_at__lte=began).order_by("deadline_at", "pk")
    if kind is not None:
        due = due.filter(kind=kind)
    rest = due
    while rows := list(rest.values_list("pk", "claimed_by_id", Value(began) - F("deadline_at"))[:LISTED]):
        # Bot by bot, so that few batches lock the same bot, and each of them few bots.
        yield from in_batches(sorted(((job, bot) for job, bot, _ in rows), key=itemgetter(1, 0)))
        if len(rows) < LISTED:
            return
        # On from the last one: what was passed over, or fell due meanwhile, is for another sweep.
        last, _, late = rows[-1]
        rest = due.filter(Q(deadline_at__gt=began - late) | Q(pk__gt=last), deadline_at__gte=began - late)


def in_batches(pairs: list[Due]) -> Iterator[list[Due]]:
    for start in range(0, len(pairs), settings.SWEEP_BATCH):
        yield pairs[start : start + settings.SWEEP_BATCH]


def still_due(batch: list[Due]) -> JobQuerySet:
    """These leases, where they are due still: meanwhile their bots may have reported, or another sweep been here."""
    due = unplanned(Q(status__in=HELD, deadline_at__lte=Now()))
    return Job.objects.filter(among("pk", [job for job, _ in batch]), due).order_by("pk")


def sweep_batches(batches: Iterator[list[Due]]) -> Iterator[tuple[Swept, list[Due]]]:
    """Do all batches, in order, several at once. Yields what each did, and the leases it left (see `_do`)."""
    several = list(islice(batches, 2))
    if len(several) < 2 or settings.SWEEP_WORKERS < 2 or connection.in_atomic_block:
        # Somebody's open transaction has to see and to hold all of it; other connections know nothing of that.
        for batch in chain(several, batches):
            part = Swept()
            yield part, _do(part, batch)
        return
    pool = ThreadPoolExecutor(settings.SWEEP_WORKERS, thread_name_prefix="sweep")
    under_way: deque[Future[tuple[Swept, list[Due]]]] = deque()
    try:
        for batch in chain(several, batches):
            under_way.append(pool.submit(copy_context().run, _do_apart, batch))
            if len(under_way) > settings.SWEEP_WORKERS:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _do_apart(batch: list[Due]) -> tuple[Swept, list[Due]]:
    part = Swept()
    try:
        return part, _do(part, batch)
    finally:
        # This thread's own, back into the pool.
        connection.close()


def _do(swept: Swept, batch: list[Due], *, wait: bool = False) -> list[Due]:
    """One batch, in one transaction. Returns the leases it left because somebody else had locked their bots."""
    with transaction.atomic():
        _set_local("synchronous_commit", "off")
        watches = lifecycle.watched(still_due(batch).select_for_update(no_key=True, skip_locked=True))
        if wait:
            _set_local("lock_timeout", PATIENCE)
        bots = lifecycle.locked(Bot.objects.filter(among("pk", {watch.bot_id for watch in watches})), wait=wait)
        mine = [watch for watch in watches if watch.bot_id in bots]
        if mine:
            _act(swept, mine, bots)
    return [(watch.lease.job_id, watch.bot_id) for watch in watches if watch.bot_id not in bots]


def _set_local(setting: str, value: str) -> None:
    """For the rest of this transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config(%s, %s, true)", [setting, value])


def make_durable() -> None:
    """Batches do not wait for the disk: what a crash takes back is due still. Here we wait, once for all of them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_logical_emit_message(true, 'jobsite', 'swept')")


def retry_busy(swept: Swept, busy: list[Due]) -> None:
    """Leases of bots whose rows were locked: most by a claim, which takes milliseconds, so now we wait for them."""
    for batch in in_batches(busy):
        try:
            _do(swept, batch, wait=True)
        except OperationalError as error:
            # Somebody keeps a bot locked, a forgotten session perhaps. They are for the next sweep.
            if not isinstance(error.__cause__, LockNotAvailable):
                raise


def count_verdict(swept: Swept, verdict: verdicts.Verdict, *, every: bool = False) -> None:
    """Count it, and name it if it is past a limit: with `every` however many are named already."""
    swept.checked += 1
    name = {"expire": "expired", "fail": "failed", "flag": "flagged"}.get(verdict.action)
    if name is not None:
        setattr(swept, name, getattr(swept, name) + 1)
    if verdict.reason and (every or len(swept.actions) < NAMED):
        lease = verdict.watch.lease
        becomes = None if verdict.becomes is None else str(verdict.becomes)
        act = Act(verdict.action, verdict.watch.bot_id, verdict.reason, lease.job_id, lease.kind, becomes)
        swept.actions.append(act)
    elif verdict.reason:
        swept.unnamed += 1


def _act(swept: Swept, batch: list[lifecycle.Watched], bots: dict[int, lifecycle.Health]) -> None:
    """One batch, whose jobs and bots this transaction has locked."""
    chosen: dict[str, list[verdicts.Verdict]] = {}
    for verdict in verdicts.verdicts(batch):
        count_verdict(swept, verdict)
        chosen.setdefault(verdict.action, []).append(verdict)
    reasons = {v.watch.lease.job_id: v.reason for of_action in chosen.values() for v in of_action}
    # First the grades, while the leases are still there to be graded; an expiry keeps its bot's grade and reason.
    changes = lifecycle.regrade_locked(bots, seen=batch)
    swept.recovered += sum(after == HealthStatus.NORMAL for _, after in changes.values())
    ids = {action: [v.watch.lease.job_id for v in of_action] for action, of_action in chosen.items()}
    swept.flagged += lifecycle.flag(ids.get("flag", []), by=lifecycle.SWEEP, reasons=reasons) - len(ids.get("flag", []))
    lifecycle.look_again(
        {
            v.watch.lease.job_id: health.next_look(v.watch.lease, v.watch.limits)
            for action in ("wait", "flag")
            for v in chosen.get(action, [])
        }
    )
    last = {v.watch.lease.job_id: v.error for v in chosen.get("expire", []) if v.hung}
    expired = lifecycle.expire(ids.get("expire", []), by=lifecycle.SWEEP, reasons=reasons, last=last)
    lifecycle.give_up(ids.get("fail", []), by=lifecycle.SWEEP, reasons=reasons)
    # Expired for the last time: the job has failed.
    swept.failed += sum(change.status == JobStatus.FAILED for change in expired)
    _quarantine(swept, {change.bot for change in expired if change.bot is not None})


def _quarantine(swept: Swept, bot_ids: set[int]) -> None:
    """No new jobs for bots whose jobs expired too often within the window, until an operator clears them."""
    reasons = verdicts.flapping(bot_ids)
    lifecycle.quarantine(reasons)
    acts = [Act("quarantine", bot, reason) for bot, reason in reasons.items()]
    room = max(0, NAMED - len(swept.actions))
    swept.actions += acts[:room]
    swept.unnamed += len(acts[room:])
