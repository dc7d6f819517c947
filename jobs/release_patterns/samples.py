"""Leases that were given back, looked at one by one: why, by whom, after how long, and what comes back again and again.

The rollup has how many there were. What it does not have is read from the newest of their events, so
many and no further; whoever shows it says how far that reaches.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median

from django.db.models import OuterRef, Q, Subquery
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from jobs.models import Job, JobEvent
from jobs.states import HELD, Actor, Verb
from jobs.transitions import ENDING
from jobsite.lib.planner import unplanned

#: Ways in which a lease is given back unfinished: which events they are. `report.COLUMNS` has the rollup's columns.
SOURCES = {
    "released": Q(verb=Verb.RELEASE, actor=Actor.OPERATOR),
    "expired": Q(verb=Verb.EXPIRE) | Q(verb=Verb.FAIL, actor=Actor.SWEEP),
    "handed_back": Q(verb=Verb.RELEASE) & ~Q(actor=Actor.OPERATOR),
}
#: How many are read one by one.
LOOKED = 10_000
#: How many ended leases are gone through to find them.
SEARCHED = 100_000
#: Held for at most so many seconds; what was held for longer than the last is counted after it.
STEPS = (10, 30, 60, 120, 300, 600, 1800, 3600, 10_800, 43_200, 86_400)
#: Words and figures in a reason that differ from job to job: `6 m 10 s`, `job 17`, `41 of the last 50`.
_FIGURES = re.compile(r"\b\d+(?:[.,:]\d+)*(?:\s?(?:ms|[smhd])\b)?(?:\s\d+(?:[.,:]\d+)*\s?(?:ms|[smhd])\b)*")
#: A reason is told by its first so many characters.
REASON_LENGTH = 160


@dataclass(frozen=True)
class HandBack:
    """One lease that was given back. `held` is in seconds; None when it is not known."""

    job: int
    kind: str
    bot: int | None
    at: datetime
    actor: str
    by: str
    reason: str
    held: float | None


@dataclass(frozen=True)
class Looked:
    """What was read one by one, the newest first, and since when; `all`: nothing of the range was left out."""

    rows: list[HandBack]
    since: datetime
    all: bool


def given_back(sources: Iterable[str]) -> Q:
    """A condition on events: a lease was given back in one of these ways."""
    found = Q(pk__in=[])
    for source in sources:
        found |= SOURCES[source]
    return Q(verb__in=ENDING, from_status__in=HELD) & found


def look(since: datetime, until: datetime, sources: Sequence[str], *, kind: str = "", bot: int | None = None) -> Looked:
    """The newest of a range (index `jobevent_ended_at`, or `jobevent_by_bot`)."""
    events = JobEvent.objects.filter(at__gte=since, at__lt=until)
    ended: Q | Coalesce = Q(verb__in=ENDING)
    back: Q | Coalesce = given_back(sources)
    if bot is not None:
        # A bot's are found by the bot, and not among all that ended in that time.
        events = events.filter(bot=bot)
        ended, back = unplanned(Q(verb__in=ENDING)), unplanned(given_back(sources))
    edges = events.filter(ended).order_by("-at").values_list("at", flat=True)[SEARCHED - 1 : SEARCHED]
    edge = next(iter(edges), None)
    found = events.filter(back)
    if edge is not None:
        found = found.filter(at__gte=edge)
    of_kind = Job.objects.filter(pk=OuterRef("job_id")).values("kind_id")[:1]
    rows = list(
        found.order_by("-at")
        # The kind row by row, by the job's key; joined, PostgreSQL might read all jobs.
        .values_list("job_id", Subquery(of_kind), "bot_id", "at", "actor", "by", "reason", KT("detail__claimed_at"))[
            : LOOKED + 1
        ]
    )
    more = len(rows) > LOOKED
    seen = [_hand_back(*row) for row in rows[:LOOKED]]
    reaches = seen[-1].at if more else (edge or since)
    return Looked([row for row in seen if not kind or row.kind == kind], reaches, not more and edge is None)


def _hand_back(
    job: int, kind: str, bot: int | None, at: datetime, actor: str, by: str, reason: str, claimed: str | None
) -> HandBack:
    moment = parse_datetime(claimed) if claimed else None
    held = None if moment is None else max(0.0, (at - moment).total_seconds())
    return HandBack(job, kind, bot, at, actor, by, reason, held)


# --- What they come to ----------------------------------------------------------------------------------------


def plain(reason: str) -> str:
    """A reason without what differs from job to job, so that like ones are counted together."""
    first = reason.strip().splitlines()[0] if reason.strip() else ""
    return _FIGURES.sub("…", first)[:REASON_LENGTH] or "no reason given"


def reasons(rows: Iterable[HandBack]) -> list[tuple[str, int]]:
    """Reasons, the most frequent first."""
    return Counter(plain(row.reason) for row in rows).most_common()


def whos(rows: Iterable[HandBack]) -> list[tuple[str, int]]:
    """Who did it, the most frequent first: operators by name, the sweep, and bots all together."""
    names = {Actor.SWEEP: "the sweep", Actor.BOT: "the bots themselves"}
    return Counter(names.get(Actor(row.actor)) or row.by or "an operator" for row in rows).most_common()


@dataclass(frozen=True)
class HeldFor:
    """How long they had been held: `(at most so many seconds, how many)`, the middle, and of how many it is known."""

    steps: list[tuple[int | None, int]]
    middle: float | None
    known: int


def held_for(rows: Iterable[HandBack]) -> HeldFor:
    """A histogram over `STEPS`."""
    times = [row.held for row in rows if row.held is not None]
    counts: dict[int | None, int] = dict.fromkeys([*STEPS, None], 0)
    for seconds in times:
        counts[next((step for step in STEPS if seconds <= step), None)] += 1
    return HeldFor(list(counts.items()), median(times) if times else None, len(times))


@dataclass(frozen=True)
class Again:
    """A job, or a bot, that came back more than once; `story` says in what way."""

    id: int
    kind: str
    times: int
    last: datetime
    story: str
    bots: list[int] = field(default_factory=list)


def jobs_again(rows: Iterable[HandBack], names: Mapping[str, str]) -> list[Again]:
    """Jobs given back at least twice, the most often first. `names`: of bots, by id."""
    by_job: dict[int, list[HandBack]] = {}
    for row in rows:
        by_job.setdefault(row.job, []).append(row)
    found = [_job_again(job, own, names) for job, own in by_job.items() if len(own) > 1]
    return sorted(found, key=lambda one: (-one.times, -one.last.timestamp()))


def _job_again(job: int, rows: list[HandBack], names: Mapping[str, str]) -> Again:
    bots = list(dict.fromkeys(row.bot for row in rows if row.bot is not None))
    said = [names.get(str(bot), f"bot {bot}") for bot in bots]
    if len(bots) == 1:
        story = f"each time by {said[0]}"
    elif len(bots) == len(rows):
        story = f"by {len(bots)} different bots: {', '.join(said[:4])}{' …' if len(said) > 4 else ''}"
    else:
        story = f"by {len(bots)} bots: {', '.join(said[:4])}{' …' if len(said) > 4 else ''}"
    return Again(job, rows[0].kind, len(rows), max(row.at for row in rows), story, bots)


def bots_again(rows: Iterable[HandBack]) -> list[Again]:
    """Bots that gave back at least two leases, the most first: of how many jobs and kinds, and whether all at once."""
    by_bot: dict[int, list[HandBack]] = {}
    for row in rows:
        if row.bot is not None:
            by_bot.setdefault(row.bot, []).append(row)
    found = [_bot_again(bot, own) for bot, own in by_bot.items() if len(own) > 1]
    return sorted(found, key=lambda one: (-one.times, -one.last.timestamp()))


def _bot_again(bot: int, rows: list[HandBack]) -> Again:
    jobs, kinds = Counter(row.job for row in rows), sorted({row.kind for row in rows})
    job, most = jobs.most_common(1)[0]
    if len(jobs) == 1:
        story = f"each time job {job}"
    elif most > 1:
        story = f"{len(jobs)} jobs; job {job} {most} times"
    else:
        story = f"{len(jobs)} different jobs"
    days = len({timezone.localtime(row.at).date() for row in rows})
    minutes = len(occasions(rows))
    story += f", {'all at once' if minutes == 1 else f'on {days} days' if days > 1 else 'on one day'}"
    return Again(bot, kinds[0] if len(kinds) == 1 else f"{len(kinds)} kinds", len(rows), rows[0].at, story)


#: What comes within so many seconds of each other is one occasion: a bulk release, a bot that dies with twenty jobs.
WINDOW = 600


def occasions(rows: Iterable[HandBack]) -> Counter[int]:
    """How many there were in each window of ten minutes that has any."""
    return Counter(int(row.at.timestamp()) // WINDOW for row in rows)
