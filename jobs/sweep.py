"""The sweep: grade what is due, act by each kind's policy, and say what happened.

It costs what is due, not what exists: `deadline_at` says when a lease must be looked at (index `job_deadline`), and
each batch is one short transaction with the same few statements whatever it holds. A batch locks its jobs and then
their bots, both with SKIP LOCKED: two sweeps share the work, a job that its bot is just reporting on is left to the
bot, and nobody waits for a sweep that itself waits for somebody.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from datetime import datetime
from operator import itemgetter

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import Exists, F, OuterRef, Q, Value
from django.db.models.functions import Now
from psycopg.errors import LockNotAvailable

from bots import health
from bots.conditions import among, unplanned
from bots.models import Bot
from bots.states import BotStatus, HealthStatus
from jobs import lifecycle
from jobs.models import Job, JobEvent, SweepRun
from jobs.queries import JobQuerySet
from jobs.states import HELD, JobStatus, Policy, Verb

#: How many due leases are listed at once; they are then done in batches of `SWEEP_BATCH`, bot by bot.
LISTED = 50_000
#: How many leases past a limit a sweep names in `actions`; of others it says how many there are.
NAMED = 200
#: How long the second try waits for a bot whose row somebody had locked at the first.
PATIENCE = "2s"


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
    incidents_opened: int = 0
    incidents_resolved: int = 0
    #: What was or would be done to leases past a limit, `(job id, kind, bot id, action, reason)`: the first `NAMED`.
    actions: list[tuple[int, str, int, str, str]] = field(default_factory=list)
    #: How many more leases there were past a limit.
    unnamed: int = 0

    def counts(self) -> dict[str, int]:
        """The figures alone, as `sweep_stuck --json` prints them."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("actions", "unnamed")}


#: A lease that is due, and who holds it: `(job id, bot id)`.
Due = tuple[int, int]


def decide(watch: lifecycle.Watched) -> tuple[str, str]:
    """What is to be done with a lease that is due, and why: `(expire | fail | flag | wait, reason)`.

    An unstarted job goes back at its first limit. Silent and overdue ones meet their kind's policy at `UNHEALTHY_AT`
    times the limit; when both do, the first policy that does more than flag decides.
    """
    grade = watch.grade
    if grade.signal == "unstarted":
        return "expire", grade.reason
    policies = {"silent": watch.when_silent, "overdue": watch.when_overdue}
    chosen = [policies[signal] for signal in health.signals_past(watch.lease, watch.limits, health.UNHEALTHY_AT)]
    if not chosen:
        return "wait", grade.reason
    decisive = next((policy for policy in chosen if policy != Policy.FLAG), Policy.FLAG)
    return {Policy.RELEASE: "expire", Policy.FAIL: "fail", Policy.FLAG: "flag"}[Policy(decisive)], grade.reason


def sweep(
    *, kind: str | None = None, dry_run: bool = False, each_batch: Callable[[Swept], None] | None = None
) -> Swept:
    """Look at every lease that is due, then at every bot that is unwell or unseen.

    `kind` limits the leases to one kind. `dry_run` changes nothing and fills `actions` all the same. `each_batch` is
    called with the running figures after each batch; what it raises ends the sweep, with that batch done.
    """
    swept = Swept()
    began = _now()
    busy: list[Due] = []
    for batch in _due(kind, began):
        if dry_run:
            for watch in lifecycle.watched(_still_due(batch)):
                _note(swept, watch)
        else:
            busy += _do(swept, batch)
        if each_batch:
            each_batch(swept)
    if not dry_run:
        _try_again(swept, busy)
        _look_at_bots(swept, began)
        if swept.checked:
            _make_durable()
    _count_bots(swept)
    if kind is None and not dry_run:
        _record(swept, began)
    return swept


def _record(swept: Swept, began: datetime) -> None:
    """Say that a full sweep came to its end, in the place of what was said of the one before."""
    ended = _now()
    run = SweepRun(started_at=began, finished_at=ended, took=(ended - began).total_seconds(), counts=swept.counts())
    fields = ["started_at", "finished_at", "took", "counts"]
    SweepRun.objects.bulk_create([run], update_conflicts=True, unique_fields=["id"], update_fields=fields)


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


def _note(swept: Swept, watch: lifecycle.Watched) -> str:
    action, reason = decide(watch)
    swept.checked += 1
    if reason and len(swept.actions) < NAMED:
        swept.actions.append((watch.lease.job_id, watch.lease.kind, watch.bot_id, action, reason))
    elif reason:
        swept.unnamed += 1
    if action in ("expire", "fail", "flag"):
        name = {"expire": "expired", "fail": "failed", "flag": "flagged"}[action]
        setattr(swept, name, getattr(swept, name) + 1)
    return action


def _act(swept: Swept, batch: list[lifecycle.Watched], bots: dict[int, lifecycle.Health]) -> None:
    """One batch, whose jobs and bots this transaction has locked."""
    chosen: dict[str, list[lifecycle.Watched]] = {}
    for watch in batch:
        chosen.setdefault(_note(swept, watch), []).append(watch)
    reasons = {watch.lease.job_id: watch.grade.reason for watch in batch}
    # First the grades, while the leases are still there to be graded; an expiry keeps its bot's grade and reason.
    changes = lifecycle.regrade_locked(bots, seen=batch)
    swept.recovered += sum(after == HealthStatus.NORMAL for _, after in changes.values())
    ids = {action: [watch.lease.job_id for watch in watches] for action, watches in chosen.items()}
    swept.flagged += lifecycle.flag(ids.get("flag", []), by=lifecycle.SWEEP, reasons=reasons) - len(ids.get("flag", []))
    lifecycle.look_again(
        {
            watch.lease.job_id: health.next_look(watch.lease, watch.limits)
            for action in ("wait", "flag")
            for watch in chosen.get(action, [])
        }
    )
    expired = lifecycle.expire(ids.get("expire", []), by=lifecycle.SWEEP, reasons=reasons)
    lifecycle.give_up(ids.get("fail", []), by=lifecycle.SWEEP, reasons=reasons)
    # Expired for the last time: the job has failed.
    swept.failed += sum(change.status == JobStatus.FAILED for change in expired)
    _quarantine({change.bot for change in expired if change.bot is not None})


def _quarantine(bot_ids: set[int]) -> None:
    """No new jobs for bots whose jobs expired too often within the window, until an operator clears them."""
    if not bot_ids:
        return
    expiries = JobEvent.objects.filter(
        Q(bot__cleared_at=None) | Q(at__gt=F("bot__cleared_at")),
        bot=OuterRef("pk"),
        verb=Verb.EXPIRE,
        at__gte=Now() - settings.QUARANTINE_WINDOW,
    )
    # There is one too many when there is one after all that are allowed.
    often = Bot.objects.filter(among("pk", bot_ids), Exists(expiries[settings.QUARANTINE_EXPIRIES - 1 :]))
    often.filter(quarantined_at=None).update(quarantined_at=Now())


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
