"""Detect current problems from database state. Read only, and independent of what was detected before.

The cost of each detector grows with the number of problems, not of rows: bots are read by the partial index over those
that are not healthy and by the index on `last_seen_at`, kinds by steps in the index of pending jobs, failures from the
statistics.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, Max, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from alerts.incidents import failure_rate
from alerts.models import Incident
from alerts.states import GATHERED, Cause, Severity
from bots.health import UNHEALTHY_AT
from bots.instances import Instance, in_quarantine
from bots.models import Bot
from bots.states import BotStatus, HealthStatus
from jobs import lifecycle, transitions
from jobs.lists import takers
from jobs.models import Job, JobEvent, JobKind, JobRollup
from jobs.states import Actor, Span
from jobs.stats import counts, rollup
from jobs.transitions import ENDING
from jobsite.lib import proportions
from jobsite.lib.durations import words
from jobsite.lib.planner import any_of

#: How many bots a title names, and how many a reason describes. The incident's page lists them all.
BOTS_IN_TITLE, BOTS_IN_REASON = 3, 5
#: The period whose failures are judged, and the period before it that they are compared with.
RECENT, BASELINE = timedelta(minutes=15), timedelta(days=1)
NOBODY = "no bot takes this kind"
#: Failures are critical from this share on.
CRITICAL_SHARE = 0.5


@dataclass(frozen=True)
class AffectedBot:
    """A bot that a finding concerns. `job_id`: the job it is stuck on, if any, or was until the sweep `ended` that."""

    name: str
    bot_id: int
    reason: str
    job_id: int | None = None
    ended: bool = False


@dataclass(frozen=True)
class Finding:
    """One problem. `cause` and `about` identify it: the same pair in a later sweep is the same incident."""

    cause: Cause
    about: str
    severity: Severity
    title: str
    reason: str
    kind: str = ""
    bots: list[AffectedBot] = field(default_factory=list)
    usual: dict[str, Any] = field(default_factory=dict)
    #: The kinds that it concerns, where they are many.
    kinds: tuple[str, ...] = ()


def detect(now: datetime, open_ones: Sequence[Incident], missing: Iterable[int], *, kind: str | None) -> list[Finding]:
    """Return all problems at `now`, or with `kind` those of that kind alone.

    `open_ones`: the open incidents. `missing`: the ids of the bots in the open incident of cause `down`.
    """
    found = stuck(kind) + waiting(now, kind) + failing(now, open_ones, kind)
    if kind is None:
        found += quarantined() + down(now, missing) + slots_lost()
    return found


# --- Bots -----------------------------------------------------------------------------------------------------


def may_be_absent() -> Q:
    """Match bots that may be absent: paused, not expected, or without a token."""
    return Q(paused=True) | Q(expected=False) | Q(token_digest=None)


def stuck(kind: str | None = None) -> list[Finding]:
    """Find bots that are not healthy: one finding for each kind of job that they are stuck on.

    Leaves out bots that hold no job and are quarantined or may be absent: they block no work.
    """
    # An expiry ends the lease and keeps the bot's health. The bot's last event by the sweep names the job.
    ended = JobEvent.objects.filter(bot=OuterRef("pk"), actor=Actor.SWEEP, verb__in=ENDING).order_by("-at")
    of_end = {f"ended_{name}": Subquery(ended.values(name)[:1]) for name in ("job", "verb", "at")}
    not_healthy = Bot.objects.stuck().annotate(**of_end)
    not_healthy = not_healthy.filter(lifecycle.holding() | ~(may_be_absent() | Q(in_quarantine())))
    columns = ("health_status", "name", "pk", "health_reason", "stuck_job_id", *of_end)
    rows = not_healthy.order_by("name").values_list(*columns)
    found = [(_unwell(*row), health) for health, *row in rows]
    jobs = {bot.job_id for bot, _ in found if bot.job_id}
    kinds = dict(Job.objects.filter(any_of("pk", jobs)).values_list("pk", "kind_id")) if jobs else {}
    by_kind: dict[str, list[tuple[AffectedBot, str]]] = {}
    for bot, health in found:
        by_kind.setdefault(kinds.get(bot.job_id or 0, ""), []).append((bot, health))
    return [_stuck(name, group) for name, group in by_kind.items() if kind is None or name == kind]


def _unwell(
    name: str, pk: int, reason: str, stuck_job: int | None, job: int | None, verb: str, at: datetime | None
) -> AffectedBot:
    if stuck_job is not None or at is None:
        return AffectedBot(name, pk, reason, stuck_job)
    return AffectedBot(name, pk, f"{reason}; job {job} {transitions.past(verb)} at {_when(at)}", job, ended=True)


def _stuck(kind: str, group: list[tuple[AffectedBot, str]]) -> Finding:
    bots = [seen for seen, _ in group]
    unhealthy = sum(health == HealthStatus.UNHEALTHY for _, health in group)
    still = [bot for bot in bots if not bot.ended]
    job, one = f"{kind or 'unknown'} job", len(still or bots) == 1
    state = f"stuck on a {job}" if one else f"stuck on {job}s"
    if not still:
        state = f"without the {job} it hung on" if one else f"without the {job}s they hung on"
    counts = f"{unhealthy} of {len(bots)} unhealthy. " if len(bots) > 1 else ""
    if still and len(still) < len(bots):
        counts += f"{len(bots) - len(still)} without the job they hung on. "
    severity = Severity.CRITICAL if unhealthy else Severity.WARNING
    return Finding(Cause.STUCK, kind, severity, _title(still or bots, state), counts + _reasons(bots), kind, bots)


def quarantined() -> list[Finding]:
    """Find bots that get probes only, because their jobs expired too often. Returns one finding for all of them."""
    rows = Bot.objects.quarantined().filter(paused=False).with_quarantines().order_by("name")
    bots = [
        AffectedBot(bot.name, bot.pk, f"probed since {_when(first.quarantined_at)}: {first.why_quarantined}")
        for bot in rows
        if (first := bot.quarantines[0]).quarantined_at
    ]
    if not bots:
        return []
    return [Finding(Cause.QUARANTINED, "", Severity.WARNING, _title(bots, "in quarantine"), _reasons(bots), "", bots)]


def down(now: datetime, missing: Iterable[int]) -> list[Finding]:
    """Find expected bots that have stopped calling. Returns one finding for all of them.

    A bot is expected if it called within `BOT_MISSED_WITHIN` or is in the open incident, and may not be absent. Bots
    that are not healthy or in quarantine are left to those incidents.
    """
    expected = Bot.objects.filter(~may_be_absent(), last_seen_at__isnull=False)
    called = expected.alias(seen=Coalesce("last_seen_at", "created_at")).filter(
        seen__gte=now - settings.BOT_MISSED_WITHIN
    )
    gone = Q(status=BotStatus.DOWN, health_status=HealthStatus.NORMAL) & ~Q(in_quarantine())
    rows = _last_seen(called.filter(gone, seen__lt=now - settings.BOT_DOWN_AFTER))
    ids = set(missing) - set(rows)
    if ids:
        rows |= _last_seen(expected.filter(gone, any_of("pk", ids)))
    if not rows:
        return []
    limit = words(settings.BOT_DOWN_AFTER)
    bots = [
        # A time and not a duration: a reason that changes with each reconciliation would be written each time.
        AffectedBot(name, pk, f"not seen since {_when(last)}, limit {limit}")
        for pk, (name, last) in sorted(rows.items(), key=lambda row: row[1])
    ]
    total = called.count() + len(ids & set(rows))
    severity = Severity.CRITICAL if 2 * len(bots) > total else Severity.WARNING
    counts = f"{len(bots)} of {total} expected bots. "
    return [Finding(Cause.DOWN, "", severity, _title(bots, "down"), counts + _reasons(bots), "", bots)]


def slots_lost() -> list[Finding]:
    """Find bots with slots that are lost to handlers which were asked to stop and did not. Returns one finding."""
    seen = Instance.objects.seen(settings.BOT_DOWN_AFTER).order_by().values_list("bot__name", "bot")
    rows = seen.annotate(lost=Sum("slots_lost"), all=Sum("slots")).filter(lost__gt=0).order_by("bot__name")
    bots = [AffectedBot(name, pk, f"{lost} of {slots} slots hang in handlers") for name, pk, lost, slots in rows]
    if not bots:
        return []
    reason = f"{_reasons(bots)}. Each was asked to stop and is still running; a restart frees the slots."
    return [Finding(Cause.SLOTS_LOST, "", Severity.WARNING, _title(bots, "short of slots"), reason, "", bots)]


def _last_seen(bots: QuerySet[Bot]) -> dict[int, tuple[str, datetime]]:
    return {pk: (name, last) for pk, name, last in bots.values_list("pk", "name", "last_seen_at") if last}


def _when(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _title(bots: list[AffectedBot], state: str) -> str:
    if len(bots) == 1:
        return f"{bots[0].name} is {state}"
    return cut_title(f"{len(bots)} bots are {state}: {name_list([bot.name for bot in bots], BOTS_IN_TITLE)}")


def name_list(names: Collection[str], limit: int = 10) -> str:
    """Join the first `limit` names for a sentence, and count the rest."""
    joined = ", ".join(list(names)[:limit])
    return f"{joined} and {len(names) - limit} more" if len(names) > limit else joined


def cut_title(title: str) -> str:
    """Cut a title to the length that an incident's may have."""
    limit = Incident._meta.get_field("title").max_length or 0
    return title if len(title) <= limit else title[: limit - 1] + "…"


def _reasons(bots: list[AffectedBot]) -> str:
    reasons = "; ".join(f"{bot.name}: {bot.reason}" for bot in bots[:BOTS_IN_REASON])
    return reasons + (f"; and {len(bots) - BOTS_IN_REASON} more" if len(bots) > BOTS_IN_REASON else "")


# --- Kinds ----------------------------------------------------------------------------------------------------


def waiting(now: datetime, kind: str | None = None) -> list[Finding]:
    """Find kinds, except paused ones, whose oldest due job has waited for longer than the kind's or default limit."""
    oldest = {row["kind"]: row for row in counts.oldest_pending() if kind in (None, row["kind"]) and not row["paused"]}
    limits = dict(JobKind.objects.filter(pk__in=oldest).values_list("pk", "wait_within")) if oldest else {}
    late = {}
    for name, row in oldest.items():
        limit = settings.DEFAULT_WAIT_WITHIN if limits[name] is None else limits[name]
        if limit and now - row["due_since"] > limit:
            late[name] = (row["id"], row["due_since"], limit)
    if not late:
        return []
    # A job that went back to pending keeps its place in the queue, and so its `run_at`. Its wait began when it did.
    events = JobEvent.objects.filter(job__in=[job for job, _, _ in late.values()]).order_by().values_list("job")
    returned = dict(events.annotate(last=Max("at")))
    bots = takers.takers_of(late.keys())
    return [
        _waiting(name, job, age, limit, bots[name])
        for name, (job, since, limit) in sorted(late.items())
        if (age := now - max(since, returned.get(job, since))) > limit
    ]


def _waiting(kind: str, job: int, age: timedelta, limit: timedelta, bots: dict[str, int]) -> Finding:
    severity = Severity.CRITICAL if age >= UNHEALTHY_AT * limit else Severity.WARNING
    takes = bots["all"]
    who = f"{takes} bot{'s' if takes != 1 else ''} take this kind, {bots['ready']} ready"
    reason = f"Job {job} has been due for {words(age)}, limit {words(limit)}; {who if takes else NOBODY}."
    return Finding(Cause.WAITING, kind, severity, f"{kind} jobs wait too long", reason, kind)


def failing(now: datetime, open_ones: Sequence[Incident] = (), kind: str | None = None) -> list[Finding]:
    """Find kinds whose failure rate is clearly higher than usual (rule: `failure_rate`), from the statistics.

    Usual is the rate of the day before; for an open incident, of the day before it opened.
    """
    usual = {name: proportions.Share(**counts) for name, counts in _usual(open_ones)}
    since = _rolled_up_until(now) - RECENT
    lately = _rates(JobRollup.objects.filter(span=Span.MINUTE, start__gte=since), [kind] if kind else None)
    suspects = {name for name, rate in lately.items() if rate.failed >= failure_rate.MIN_FAILED} - set(usual)
    past = {}
    if suspects:
        day = JobRollup.objects.filter(span=Span.QUARTER, start__gte=since - BASELINE, start__lt=since - RECENT)
        past = _rates(day, suspects)
    found = []
    for name, rate in sorted(lately.items()):
        if name in usual and failure_rate.still_up(rate, usual[name]):
            found.append(_failing(name, rate, usual[name]))
        elif name in past and failure_rate.jumped(rate, past[name]):
            found.append(_failing(name, rate, past[name]))
    return found


def _usual(open_ones: Sequence[Incident]) -> Iterator[tuple[str, dict[str, int]]]:
    """The counts from before each kind's failures, of open incidents."""
    for incident in open_ones:
        if incident.cause == Cause.FAILING and incident.usual:
            yield from incident.usual.items() if incident.about == GATHERED else [(incident.about, incident.usual)]


def _rolled_up_until(now: datetime) -> datetime:
    """The end of the last minute in the statistics: shortly before now, or long ago if no sweep runs."""
    return min(now, rollup.added_until() or now)


def _rates(rows: QuerySet[JobRollup], kinds: Iterable[str] | None) -> dict[str, proportions.Share]:
    rows = rows.exclude(kind="") if kinds is None else rows.filter(kind__in=list(kinds))
    sums = rows.order_by().values_list("kind").annotate(Sum("failed"), ended=Sum(F("succeeded") + F("failed")))
    return {kind: proportions.Share(failed, ended) for kind, failed, ended in sums}


def _failing(kind: str, lately: proportions.Share, past: proportions.Share) -> Finding:
    severity = Severity.CRITICAL if lately.share >= CRITICAL_SHARE else Severity.WARNING
    title = cut_title(f"{kind} jobs fail more often than usual: {lately.share * 100:.0f} %")
    reason = f"{lately} failed in the last {words(RECENT)}; on the day before: {past}."
    usual = {"failed": past.failed, "ended": past.ended}
    return Finding(Cause.FAILING, kind, severity, title, reason, kind, usual=usual)
