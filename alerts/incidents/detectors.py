"""What is wrong in the house now: a look at the database's state, whatever happened before. It changes nothing.

Each question costs what is wrong and not what exists: bots by the partial index over those that are unwell and the
index by when they were last seen, kinds by steps in the index of what is pending, failures by the tally.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db.models import BigIntegerField, Count, F, Max, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from alerts.incidents import failure_rate
from alerts.models import Incident
from alerts.states import Cause, Severity
from bots.health import UNHEALTHY_AT
from bots.models import Bot
from bots.states import BotStatus, HealthStatus
from jobs import lifecycle
from jobs.models import Job, JobEvent, JobKind, JobRollup
from jobs.states import Actor, Span
from jobs.stats import counts, rollup
from jobsite.lib import proportions
from jobsite.lib.durations import words
from jobsite.lib.planner import among

#: How many bots a title names, and how many a reason tells of. Their pages have them all.
NAMED, TOLD = 3, 5
#: What counts as lately, and as the past, for a kind's failures.
LATELY, PAST = timedelta(minutes=15), timedelta(days=1)
#: From this share on, failures are critical.
CRITICAL_SHARE = 0.5


@dataclass(frozen=True)
class Seen:
    """A bot that something is wrong with. `job_id` is the job it is about, where there is one."""

    name: str
    bot_id: int
    reason: str
    job_id: int | None = None


@dataclass(frozen=True)
class Found:
    """One thing that is wrong. Cause and `about` say which: a sweep that finds these again finds the same incident."""

    cause: Cause
    about: str
    severity: Severity
    title: str
    reason: str
    kind: str = ""
    bots: list[Seen] = field(default_factory=list)
    usual: dict[str, int] = field(default_factory=dict)


def look(now: datetime, open_ones: Sequence[Incident], missing: Iterable[int], *, kind: str | None) -> list[Found]:
    """Everything that is wrong at `now`, or with `kind` what is wrong with that kind alone.

    `open_ones` are the incidents that are open; `missing` the ids of the bots in the one of cause `down`.
    """
    found = stuck(kind) + waiting(now, kind) + failing(now, open_ones, kind)
    if kind is None:
        found += quarantined() + down(now, missing)
    return found


# --- Bots -----------------------------------------------------------------------------------------------------


def dismissed() -> Q:
    """Bots that may be gone: paused, not expected, or without a token. They are not missed."""
    return Q(paused=True) | Q(expected=False) | Q(token_digest=None)


def stuck(kind: str | None = None) -> list[Found]:
    """Bots graded other than normal, one finding for each kind of job that they are stuck on.

    One that holds nothing any more, and may be gone or is in quarantine, is left out: nobody waits for it here.
    """
    # An expiry takes the job away and leaves the grade; the bot's last event by the sweep says which job it was.
    ended = JobEvent.objects.filter(bot=OuterRef("pk"), actor=Actor.SWEEP).order_by("-at")
    about = Coalesce("stuck_job_id", Subquery(ended.values("job_id")[:1]), output_field=BigIntegerField())
    unwell = Bot.objects.stuck().annotate(about=about)
    unwell = unwell.filter(lifecycle.holding() | ~(dismissed() | Q(quarantined_at__isnull=False)))
    rows = list(unwell.order_by("name").values_list("name", "pk", "health_status", "health_reason", "about"))
    if not rows:
        return []
    kinds = dict(Job.objects.filter(among("pk", {row[4] for row in rows if row[4]})).values_list("pk", "kind_id"))
    by_kind: dict[str, list[tuple[Seen, str]]] = {}
    for name, pk, health, reason, job in rows:
        by_kind.setdefault(kinds.get(job, ""), []).append((Seen(name, pk, reason, job), health))
    return [_stuck(name, group) for name, group in by_kind.items() if kind is None or name == kind]


def _stuck(kind: str, group: list[tuple[Seen, str]]) -> Found:
    bots = [seen for seen, _ in group]
    unhealthy = sum(health == HealthStatus.UNHEALTHY for _, health in group)
    job = f"{kind or 'unknown'} job"
    where = f"stuck on a {job}" if len(bots) == 1 else f"stuck on {job}s"
    counts = f"{unhealthy} of {len(bots)} unhealthy. " if len(bots) > 1 else ""
    severity = Severity.CRITICAL if unhealthy else Severity.WARNING
    return Found(Cause.STUCK, kind, severity, _who(bots, where), counts + _whys(bots), kind, bots)


def quarantined() -> list[Found]:
    """Bots that get no new jobs because their jobs expired too often; one finding for all of them."""
    rows = Bot.objects.filter(quarantined_at__isnull=False, paused=False).order_by("name")
    bots = [
        Seen(name, pk, f"no new jobs since {_when(since)}: its jobs expired {settings.QUARANTINE_EXPIRIES} times")
        for name, pk, since in rows.values_list("name", "pk", "quarantined_at")
        if since
    ]
    if not bots:
        return []
    return [Found(Cause.QUARANTINED, "", Severity.WARNING, _who(bots, "in quarantine"), _whys(bots), "", bots)]


def down(now: datetime, missing: Iterable[int]) -> list[Found]:
    """Bots that should be there and do not call; one finding for all of them.

    A bot should be there when it called within `BOT_MISSED_WITHIN` or is missed already, and is not dismissed. One that
    is unwell or in quarantine has its incident there.
    """
    should = Bot.objects.filter(~dismissed(), last_seen_at__isnull=False)
    lately = should.alias(seen=Coalesce("last_seen_at", "created_at")).filter(
        seen__gte=now - settings.BOT_MISSED_WITHIN
    )
    gone = Q(status=BotStatus.DOWN, health_status=HealthStatus.NORMAL, quarantined_at=None)
    rows = _last_seen(lately.filter(gone, seen__lt=now - settings.BOT_DOWN_AFTER))
    ids = set(missing) - set(rows)
    if ids:
        rows |= _last_seen(should.filter(gone, among("pk", ids)))
    if not rows:
        return []
    limit = words(settings.BOT_DOWN_AFTER)
    bots = [
        # When and not for how long: a sentence that changes with each pass would be written with each pass.
        Seen(name, pk, f"not seen since {_when(last)}, limit {limit}")
        for pk, (name, last) in sorted(rows.items(), key=lambda row: row[1])
    ]
    there = lately.count() + len(ids & set(rows))
    severity = Severity.CRITICAL if 2 * len(bots) > there else Severity.WARNING
    counts = f"{len(bots)} of {there} that should be there. "
    return [Found(Cause.DOWN, "", severity, _who(bots, "down"), counts + _whys(bots), "", bots)]


def _last_seen(bots: QuerySet[Bot]) -> dict[int, tuple[str, datetime]]:
    return {pk: (name, last) for pk, name, last in bots.values_list("pk", "name", "last_seen_at") if last}


def _when(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _who(bots: list[Seen], how: str) -> str:
    if len(bots) == 1:
        return f"{bots[0].name} is {how}"
    names = ", ".join(bot.name for bot in bots[:NAMED])
    more = f" and {len(bots) - NAMED} more" if len(bots) > NAMED else ""
    return _short(f"{len(bots)} bots are {how}: {names}{more}")


def _short(title: str) -> str:
    most = Incident._meta.get_field("title").max_length or 0
    return title if len(title) <= most else title[: most - 1] + "…"


def _whys(bots: list[Seen]) -> str:
    whys = "; ".join(f"{bot.name}: {bot.reason}" for bot in bots[:TOLD])
    return whys + (f"; and {len(bots) - TOLD} more" if len(bots) > TOLD else "")


# --- Kinds ----------------------------------------------------------------------------------------------------


def waiting(now: datetime, kind: str | None = None) -> list[Found]:
    """Kinds whose oldest due job has waited for longer than the kind, or else the site, allows. Not paused ones."""
    oldest = {row["kind"]: row for row in counts.oldest_pending() if kind in (None, row["kind"]) and not row["paused"]}
    limits = dict(JobKind.objects.filter(pk__in=oldest).values_list("pk", "wait_within")) if oldest else {}
    late = {}
    for name, row in oldest.items():
        limit = settings.DEFAULT_WAIT_WITHIN if limits[name] is None else limits[name]
        if limit and now - row["run_at"] > limit:
            late[name] = (row["id"], row["run_at"], limit)
    if not late:
        return []
    # A job that came back keeps its place in the queue, and so its `run_at`. It has waited since it came back.
    back = JobEvent.objects.filter(job__in=[job for job, _, _ in late.values()]).order_by().values_list("job")
    returned = dict(back.annotate(last=Max("at")))
    takers = _takers(late)
    return [
        _waiting(name, job, age, limit, takers[name])
        for name, (job, run_at, limit) in sorted(late.items())
        if (age := now - max(run_at, returned.get(job, run_at))) > limit
    ]


def _waiting(kind: str, job: int, age: timedelta, limit: timedelta, takers: tuple[int, int]) -> Found:
    severity = Severity.CRITICAL if age >= UNHEALTHY_AT * limit else Severity.WARNING
    takes, ready = takers
    bots = (
        f"{takes} bot{'s' if takes != 1 else ''} take this kind, {ready} of them could work"
        if takes
        else ("no bot takes this kind")
    )
    reason = f"Job {job} has been due for {words(age)}, limit {words(limit)}; {bots}."
    return Found(Cause.WAITING, kind, severity, f"{kind} jobs wait too long", reason, kind)


def _takers(kinds: Iterable[str]) -> dict[str, tuple[int, int]]:
    """For each kind: how many bots take it, and how many of them could work."""
    ready = Q(paused=False, quarantined_at=None) & ~Q(status=BotStatus.DOWN)
    rows = Bot.objects.order_by().values_list("kinds")
    groups = list(rows.annotate(all=Count("pk"), ready=Count("pk", filter=ready)))
    taking = {kind: [(n, could) for takes, n, could in groups if not takes or kind in takes] for kind in kinds}
    return {kind: (sum(n for n, _ in rows), sum(could for _, could in rows)) for kind, rows in taking.items()}


def failing(now: datetime, open_ones: Sequence[Incident] = (), kind: str | None = None) -> list[Found]:
    """Kinds of whose jobs clearly more fail than usual, by the rollup (`rates` has the rule).

    Usual is what was on the day before; for an incident that is open, on the day before it opened.
    """
    usual = {i.about: proportions.Share(**i.usual) for i in open_ones if i.cause == Cause.FAILING and i.usual}
    since = _mark(now) - LATELY
    lately = _rates(JobRollup.objects.filter(span=Span.MINUTE, start__gte=since), [kind] if kind else None)
    suspects = {name for name, rate in lately.items() if rate.failed >= failure_rate.MIN_FAILED} - set(usual)
    past = {}
    if suspects:
        day = JobRollup.objects.filter(span=Span.QUARTER, start__gte=since - PAST, start__lt=since - LATELY)
        past = _rates(day, suspects)
    found = []
    for name, rate in sorted(lately.items()):
        if name in usual and failure_rate.still_up(rate, usual[name]):
            found.append(_failing(name, rate, usual[name]))
        elif name in past and failure_rate.jumped(rate, past[name]):
            found.append(_failing(name, rate, past[name]))
    return found


def _mark(now: datetime) -> datetime:
    """Until when everything is added up: not quite until now, and without sweeps not at all."""
    return min(now, rollup.added_until() or now)


def _rates(rows: QuerySet[JobRollup], kinds: Iterable[str] | None) -> dict[str, proportions.Share]:
    rows = rows.exclude(kind="") if kinds is None else rows.filter(kind__in=list(kinds))
    sums = rows.order_by().values_list("kind").annotate(Sum("failed"), ended=Sum(F("succeeded") + F("failed")))
    return {kind: proportions.Share(failed, ended) for kind, failed, ended in sums}


def _failing(kind: str, lately: proportions.Share, past: proportions.Share) -> Found:
    severity = Severity.CRITICAL if lately.share >= CRITICAL_SHARE else Severity.WARNING
    title = _short(f"{kind} jobs fail more often than usual: {lately.share * 100:.0f} %")
    reason = f"{lately} failed in the last {words(LATELY)}; on the day before {past}."
    usual = {"failed": past.failed, "ended": past.ended}
    return Found(Cause.FAILING, kind, severity, title, reason, kind, usual=usual)
