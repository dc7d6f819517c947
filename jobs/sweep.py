"""The sweep: grade what is due, act by each kind's policy, and say what happened.

It costs what is due, not what exists: `deadline_at` says when a lease must be looked at (index `job_deadline`), and
each batch is one short transaction with the same few statements whatever it holds. A batch locks its jobs and then
their bots, both with SKIP LOCKED: two sweeps share the work, a job that its bot is just reporting on is left to the
bot, and nobody waits for a sweep that itself waits for somebody.
"""

import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field, fields
from datetime import datetime
from itertools import chain, islice
from operator import itemgetter

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce, Now
from psycopg.errors import LockNotAvailable

from bots import health
from bots.conditions import among, unplanned
from bots.health import words
from bots.models import Bot
from bots.states import BotStatus, HealthStatus
from jobs import lifecycle, pruning, trail, verdicts
from jobs.models import Job, SweepRun
from jobs.queries import JobQuerySet
from jobs.states import HELD, JobStatus

#: How many due leases are listed at once; they are then done in batches of `SWEEP_BATCH`, bot by bot.
LISTED = 50_000
#: How many leases past a limit a sweep names in `actions`; of others it says how many there are. A dry run names all.
NAMED = 200
#: How long the second try waits for a bot whose row somebody had locked at the first.
PATIENCE = "2s"


@dataclass(frozen=True)
class Act:
    """What was or would be done to one lease (or, with no job, to a bot), and why."""

    #: `expire`, `fail`, `flag`, `wait` (past a limit, and nothing is done yet); `quarantine`, `down` of a bot.
    action: str
    bot: int
    reason: str
    job: int | None = None
    kind: str | None = None
    #: The job's status afterwards; None when it stays as it is.
    becomes: str | None = None


@dataclass
class Swept:
    """What one sweep did. `potentially_stuck`, `unhealthy` and `down` count bots in that state when it ended."""

    checked: int = 0
    potentially_stuck: int = 0
    unhealthy: int = 0
    recovered: int = 0
    down: int = 0
    expired: int = 0
    failed: int = 0
    flagged: int = 0
    pruned: int = 0
    incidents_opened: int = 0
    incidents_resolved: int = 0
    #: What was done to leases past a limit, and to their bots: the first `NAMED`. In a dry run, what would be: all.
    actions: list[Act] = field(default_factory=list)
    #: How many more there were.
    unnamed: int = 0
    #: When it began; its record is known by that.
    began: datetime | None = None

    def add(self, part: "Swept") -> None:
        """Put what one batch did to the rest."""
        for name, n in part.counts().items():
            setattr(self, name, getattr(self, name) + n)
        room = max(0, NAMED - len(self.actions))
        self.actions += part.actions[:room]
        self.unnamed += part.unnamed + len(part.actions[room:])

    def counts(self) -> dict[str, int]:
        """The figures alone, as `sweep_stuck --json` prints them."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("actions", "unnamed", "began")}


#: A lease that is due, and who holds it: `(job id, bot id)`.
Due = tuple[int, int]


def sweep(
    *, kind: str | None = None, dry_run: bool = False, each_batch: Callable[[Swept], None] | None = None
) -> Swept:
    """Look at every lease that is due, then at every bot that is unwell or unseen.

    `kind` limits the leases to one kind. `dry_run` changes nothing and fills `actions` all the same. `each_batch` is
    called with the running figures after each batch; what it raises ends the sweep, with that batch done, and those
    that were under way. Batches are done `SWEEP_WORKERS` at a time, unless a transaction is open around the sweep.
    """
    with trail.begin(sweep=secrets.token_hex(4)):
        return _sweep(kind, dry_run, each_batch)


def _sweep(kind: str | None, dry_run: bool, each_batch: Callable[[Swept], None] | None) -> Swept:
    began = _now()
    swept = Swept(began=began)
    busy: list[Due] = []
    would_expire: dict[int, list[int]] = {}
    if dry_run:
        for batch in _due(kind, began):
            _foresee(swept, batch, would_expire)
            if each_batch:
                each_batch(swept)
        _foresee_bots(swept, would_expire)
    else:
        for part, left in _done(_due(kind, began)):
            swept.add(part)
            busy += left
            if each_batch:
                each_batch(swept)
        _try_again(swept, busy)
        _look_at_bots(swept, began)
        if swept.checked:
            _make_durable()
    _count_bots(swept)
    if kind is None and not dry_run:
        swept.pruned = pruning.prune()
        _record(swept, began)
    return swept


def _record(swept: Swept, began: datetime) -> None:
    """Say that a full sweep came to its end, in the place of what was said of the one before."""
    ended = _now()
    run = SweepRun(started_at=began, finished_at=ended, took=(ended - began).total_seconds(), counts=swept.counts())
    fields = ["started_at", "finished_at", "took", "counts"]
    SweepRun.objects.bulk_create([run], update_conflicts=True, unique_fields=["id"], update_fields=fields)


def record_incidents(swept: Swept) -> None:
    """Write what the pass over incidents did to this sweep's record, unless a later one is on record already."""
    if swept.began is not None:
        SweepRun.objects.filter(started_at=swept.began).update(counts=swept.counts())


def _due(kind: str | None, began: datetime) -> Iterator[list[Due]]:
    """Leases that were due when the sweep began, each once: the longest due first, and then bot by bot."""
    due = Job.objects.held().filter(deadline_at__lte=began).order_by("deadline_at", "pk")
    if kind is not None:
        due = due.filter(kind=kind)
    rest = due
    while rows := list(rest.values_list("pk", "claimed_by_id", Value(began) - F("deadline_at"))[:LISTED]):
        # Bot by bot, so that few batches lock the same bot, and each of them few bots.
        yield from _batches(sorted(((job, bot) for job, bot, _ in rows), key=itemgetter(1, 0)))
        if len(rows) < LISTED:
            return
        # On from the last one: what was passed over, or fell due meanwhile, is for another sweep.
        last, _, late = rows[-1]
        rest = due.filter(Q(deadline_at__gt=began - late) | Q(pk__gt=last), deadline_at__gte=began - late)


def _now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now


def _batches(pairs: list[Due]) -> Iterator[list[Due]]:
    for start in range(0, len(pairs), settings.SWEEP_BATCH):
        yield pairs[start : start + settings.SWEEP_BATCH]


def _still_due(batch: list[Due]) -> JobQuerySet:
    """These leases, where they are due still: meanwhile their bots may have reported, or another sweep been here."""
    due = unplanned(Q(status__in=HELD, deadline_at__lte=Now()))
    return Job.objects.filter(among("pk", [job for job, _ in batch]), due).order_by("pk")


def _done(batches: Iterator[list[Due]]) -> Iterator[tuple[Swept, list[Due]]]:
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
        watches = lifecycle.watched(_still_due(batch).select_for_update(no_key=True, skip_locked=True))
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


def _make_durable() -> None:
    """Batches do not wait for the disk: what a crash takes back is due still. Here we wait, once for all of them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_logical_emit_message(true, 'jobsite', 'swept')")


def _try_again(swept: Swept, busy: list[Due]) -> None:
    """Leases of bots whose rows were locked: most by a claim, which takes milliseconds, so now we wait for them."""
    for batch in _batches(busy):
        try:
            _do(swept, batch, wait=True)
        except OperationalError as error:
            # Somebody keeps a bot locked, a forgotten session perhaps. They are for the next sweep.
            if not isinstance(error.__cause__, LockNotAvailable):
                raise


def _note(swept: Swept, verdict: verdicts.Verdict, *, every: bool = False) -> None:
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
        _note(swept, verdict)
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


def _foresee(swept: Swept, batch: list[Due], would_expire: dict[int, list[int]]) -> None:
    """For a dry run: what would become of these leases, and which would expire under which bot."""
    for verdict in verdicts.verdicts(lifecycle.watched(_still_due(batch))):
        _note(swept, verdict, every=True)
        if verdict.action == "expire":
            swept.failed += verdict.becomes == JobStatus.FAILED
            would_expire.setdefault(verdict.watch.bot_id, []).append(verdict.watch.lease.job_id)


def _foresee_bots(swept: Swept, would_expire: dict[int, list[int]]) -> None:
    """For a dry run: which bots would be put into quarantine by what would expire, and which would be down."""
    for ids in _chunks(sorted(would_expire)):
        for bot, reason in verdicts.flapping(ids, would_expire).items():
            swept.actions.append(Act("quarantine", bot, reason))
    limit = settings.BOT_DOWN_AFTER
    unseen = Bot.objects.unseen(limit).exclude(status=BotStatus.DOWN).order_by("pk")
    for bot, silent in unseen.values_list("pk", Now() - Coalesce("last_seen_at", "created_at")):
        swept.actions.append(Act("down", bot, f"not seen for {words(silent)}, limit {words(limit)}"))


def _look_at_bots(swept: Swept, began: datetime) -> None:
    """Bots that were unwell are graded again; bots not seen for long are down."""
    unwell = Bot.objects.stuck().filter(lifecycle.holding())
    # This sweep has graded them, by a lease that they hold still.
    unwell = unwell.exclude(stuck_job__isnull=False, health_checked_at__gte=began)
    for ids in _chunks(unwell.order_by("pk").values_list("pk", flat=True)):
        changes = lifecycle.regrade(Bot.objects.stuck().filter(among("pk", ids)), wait=False)
        swept.recovered += sum(after == HealthStatus.NORMAL for _, after in changes.values())
    unseen = Bot.objects.unseen(settings.BOT_DOWN_AFTER).exclude(status=BotStatus.DOWN)
    for ids in _chunks(unseen.order_by("pk").values_list("pk", flat=True)):
        with transaction.atomic():
            locked = unseen.filter(among("pk", ids)).order_by("pk").select_for_update(no_key=True, skip_locked=True)
            free = list(locked.values_list("pk", flat=True))
            Bot.objects.filter(among("pk", free)).update(status=BotStatus.DOWN)


def _chunks(ids: Iterable[int]) -> Iterator[list[int]]:
    every = list(ids)
    for start in range(0, len(every), settings.SWEEP_BATCH):
        yield every[start : start + settings.SWEEP_BATCH]


def _count_bots(swept: Swept) -> None:
    """By the indexes over bots that are unwell and unseen, so that well ones cost nothing."""
    swept.potentially_stuck = Bot.objects.filter(health_status=HealthStatus.POTENTIALLY_STUCK).count()
    swept.unhealthy = Bot.objects.filter(health_status=HealthStatus.UNHEALTHY).count()
    swept.down = Bot.objects.unseen(settings.BOT_DOWN_AFTER).filter(status=BotStatus.DOWN).count()
