"""The sweep: grade what is due, act by each kind's policy, and say what happened.

It costs what is due, not what exists: `deadline_at` says when a lease must be looked at (index `job_deadline`). Each
batch is one transaction that locks its jobs with SKIP LOCKED, so two sweeps share the work, nobody waits for long, and
a job that its bot is just reporting on is left to the bot.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Q
from django.db.models.functions import Now

from bots import health
from bots.models import Bot
from bots.states import BotStatus, HealthStatus
from jobs import lifecycle
from jobs.models import Job
from jobs.states import JobStatus, Policy, Verb


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
    #: What was or would be done to each lease that was past a limit: `(job id, kind, bot id, action, reason)`.
    actions: list[tuple[int, str, int, str, str]] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """The figures alone, as `sweep_stuck --json` prints them."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "actions"}


def decide(watch: lifecycle.Watched) -> tuple[str, str]:
    """What is to be done with a lease that is due, and why: `(expire | fail | flag | wait, reason)`.

    An unstarted job goes back at its first limit. Silent and overdue ones meet their kind's policy at `UNHEALTHY_AT`
    times the limit; when both do, the first policy that does more than flag decides.
    """
    grade = health.grade(watch.lease, watch.limits)
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
    called with the running figures after each batch.
    """
    swept = Swept()
    if dry_run:
        for watch in _due(kind, lock=False):
            _note(swept, watch)
        _count_bots(swept)
        return swept
    while True:
        with transaction.atomic():
            batch = list(_due(kind, lock=True))
            if not batch:
                break
            _act(swept, batch)
        if each_batch:
            each_batch(swept)
    _look_at_bots(swept)
    _count_bots(swept)
    return swept


def _due(kind: str | None, *, lock: bool) -> Iterator[lifecycle.Watched]:
    due = Job.objects.due().order_by("deadline_at")
    if kind is not None:
        due = due.filter(kind=kind)
    if lock:
        locked = due.select_for_update(no_key=True, skip_locked=True, of=("self",))
        ids = list(locked.values_list("pk", flat=True)[: settings.SWEEP_BATCH])
        due = Job.objects.filter(pk__in=ids)
    yield from lifecycle.watched(due)


def _note(swept: Swept, watch: lifecycle.Watched) -> str:
    action, reason = decide(watch)
    swept.checked += 1
    if reason:
        swept.actions.append((watch.lease.job_id, watch.lease.kind, watch.bot_id, action, reason))
    if action in ("expire", "fail", "flag"):
        name = {"expire": "expired", "fail": "failed", "flag": "flagged"}[action]
        setattr(swept, name, getattr(swept, name) + 1)
    return action


def _act(swept: Swept, batch: list[lifecycle.Watched]) -> None:
    """One batch, whose job rows this transaction has locked."""
    bots = Bot.objects.filter(pk__in={watch.bot_id for watch in batch})
    # Every bot of the batch at once and in order, so that verbs below never wait for one while holding another.
    list(bots.order_by("pk").select_for_update(no_key=True).values_list("pk"))
    chosen: dict[str, list[lifecycle.Watched]] = {}
    for watch in batch:
        chosen.setdefault(_note(swept, watch), []).append(watch)
    reasons = {watch.lease.job_id: health.grade(watch.lease, watch.limits).reason for watch in batch}
    # First the grades, while the leases are still there to be graded; an expiry keeps its bot's grade and reason.
    changes = lifecycle.regrade(bots)
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
    since = Now() - settings.QUARANTINE_WINDOW
    expiries = Q(events__verb=Verb.EXPIRE, events__at__gte=since) & (
        Q(cleared_at=None) | Q(events__at__gt=F("cleared_at"))
    )
    often = Bot.objects.filter(pk__in=bot_ids, quarantined_at=None).annotate(n=Count("events", filter=expiries))
    ids = [bot.pk for bot in often if bot.n >= settings.QUARANTINE_EXPIRIES]
    Bot.objects.filter(pk__in=ids).update(quarantined_at=Now())


def _look_at_bots(swept: Swept) -> None:
    """Bots that were unwell are graded again; bots not seen for long are down."""
    changes = lifecycle.regrade(Bot.objects.stuck())
    swept.recovered += sum(after == HealthStatus.NORMAL for _, after in changes.values())
    with transaction.atomic():
        unseen = Bot.objects.unseen(settings.BOT_DOWN_AFTER).exclude(status=BotStatus.DOWN)
        ids = list(unseen.order_by("pk").select_for_update(no_key=True, skip_locked=True).values_list("pk", flat=True))
        Bot.objects.filter(pk__in=ids).update(status=BotStatus.DOWN)


def _count_bots(swept: Swept) -> None:
    counts = Bot.objects.aggregate(
        potentially_stuck=Count("pk", filter=Q(health_status=HealthStatus.POTENTIALLY_STUCK)),
        unhealthy=Count("pk", filter=Q(health_status=HealthStatus.UNHEALTHY)),
        down=Count("pk", filter=Q(status=BotStatus.DOWN)),
    )
    for name, n in counts.items():
        setattr(swept, name, n)
