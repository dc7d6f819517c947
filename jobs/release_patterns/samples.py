"""Read returned leases one by one: reasons, actors, hold times and repeats.

The rollup has their numbers. Everything else is read from a bounded number of the newest events; the page shows how
far back they reach.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
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
from jobsite.lib.planner import fenced

#: The ways in which a lease is returned, by their events. `sums.COLUMNS` has the columns of the rollup.
SOURCES = {
    "released": Q(verb=Verb.RELEASE, actor=Actor.OPERATOR),
    "expired": Q(verb=Verb.EXPIRE) | Q(verb=Verb.FAIL, actor=Actor.SWEEP),
    "handed_back": Q(verb=Verb.RELEASE) & ~Q(actor=Actor.OPERATOR) | Q(verb=Verb.DEFER),
}
#: The most returned leases that are read.
MAX_SAMPLES = 10_000
#: The most ended leases that are searched for them.
MAX_SEARCHED = 100_000
#: Upper bounds of the histogram of hold times, in seconds; one more bucket counts the longer ones.
HELD_STEPS = (10, 30, 60, 120, 300, 600, 1800, 3600, 10_800, 43_200, 86_400)
#: Numbers and durations in a reason, which differ from job to job: `6 m 10 s`, `job 17`, `41 of the last 50`.
_FIGURES = re.compile(r"\b\d+(?:[.,:]\d+)*(?:\s?(?:ms|[smhd])\b)?(?:\s\d+(?:[.,:]\d+)*\s?(?:ms|[smhd])\b)*")
#: Returns within the same window of so many seconds are one occasion, such as a bulk release.
WINDOW = 600
#: Reasons are cut to this length.
REASON_LENGTH = 160


@dataclass(frozen=True)
class ReturnedLease:
    """A returned lease. `held`: in seconds; None if unknown."""

    job: int
    kind: str
    bot: int | None
    at: datetime
    actor: str
    by: str
    reason: str
    held: float | None


@dataclass(frozen=True)
class Samples:
    """The returned leases that were read, the newest first, and since when. `all`: they are all of the range."""

    rows: list[ReturnedLease]
    since: datetime
    all: bool


def is_returned(sources: Iterable[str]) -> Q:
    """A condition on events: a lease was returned in one of these ways."""
    condition = Q(pk__in=[])
    for source in sources:
        condition |= SOURCES[source]
    return Q(verb__in=ENDING, from_status__in=HELD) & condition


def load(
    since: datetime, until: datetime, sources: Sequence[str], *, kind: str = "", bot: int | None = None
) -> Samples:
    """Read the newest returned leases of a range (index `jobevent_ended_at`, or `jobevent_by_bot`)."""
    events = JobEvent.objects.filter(at__gte=since, at__lt=until)
    ended: Q | Coalesce = Q(verb__in=ENDING)
    back: Q | Coalesce = is_returned(sources)
    if bot is not None:
        # Search a bot's events by the bot, not all events of the range.
        events = events.filter(bot=bot)
        ended, back = fenced(Q(verb__in=ENDING)), fenced(is_returned(sources))
    edges = events.filter(ended).order_by("-at").values_list("at", flat=True)[MAX_SEARCHED - 1 : MAX_SEARCHED]
    edge = next(iter(edges), None)
    returned = events.filter(back)
    if edge is not None:
        returned = returned.filter(at__gte=edge)
    of_kind = Job.objects.filter(pk=OuterRef("job_id")).values("kind_id")[:1]
    rows = list(
        returned.order_by("-at")
        # A subquery by the job's key for the kind: for a join PostgreSQL might read all jobs.
        .values_list("job_id", Subquery(of_kind), "bot_id", "at", "actor", "by", "reason", KT("detail__claimed_at"))[
            : MAX_SAMPLES + 1
        ]
    )
    more = len(rows) > MAX_SAMPLES
    read = [_returned_lease(*row) for row in rows[:MAX_SAMPLES]]
    reaches = read[-1].at if more else (edge or since)
    return Samples([row for row in read if not kind or row.kind == kind], reaches, not more and edge is None)


def _returned_lease(
    job: int, kind: str, bot: int | None, at: datetime, actor: str, by: str, reason: str, claimed: str | None
) -> ReturnedLease:
    moment = parse_datetime(claimed) if claimed else None
    held = None if moment is None else max(0.0, (at - moment).total_seconds())
    return ReturnedLease(job, kind, bot, at, actor, by, reason, held)


# --- Summaries ------------------------------------------------------------------------------------------------


def plain(reason: str) -> str:
    """Replace the numbers in a reason, so that like reasons are counted together."""
    first = reason.strip().splitlines()[0] if reason.strip() else ""
    return _FIGURES.sub("…", first)[:REASON_LENGTH] or "no reason given"


def reasons(rows: Iterable[ReturnedLease]) -> list[tuple[str, int]]:
    """Count reasons, the most frequent first."""
    # Each text once: to find its numbers takes longest.
    counts: Counter[str] = Counter()
    for reason, n in Counter(row.reason for row in rows).items():
        counts[plain(reason)] += n
    return counts.most_common()


def actors(rows: Iterable[ReturnedLease]) -> list[tuple[str, int]]:
    """Count actors, the most frequent first: operators by name, the sweep, and all bots together."""
    names = {Actor.SWEEP: "the sweep", Actor.BOT: "the bots themselves"}
    counts: Counter[str] = Counter()
    for (actor, by), n in Counter((row.actor, row.by) for row in rows).items():
        counts[names.get(Actor(actor)) or by or "an operator"] += n
    return counts.most_common()


@dataclass(frozen=True)
class HeldFor:
    """Hold times: `(upper bound in seconds, number)`, the median, and of how many leases the time is known."""

    steps: list[tuple[int | None, int]]
    median: float | None
    known: int


def held_for(rows: Iterable[ReturnedLease]) -> HeldFor:
    """Count hold times over `HELD_STEPS`."""
    times = [row.held for row in rows if row.held is not None]
    counts: dict[int | None, int] = dict.fromkeys([*HELD_STEPS, None], 0)
    for seconds in times:
        counts[next((step for step in HELD_STEPS if seconds <= step), None)] += 1
    return HeldFor(list(counts.items()), median(times) if times else None, len(times))


@dataclass(frozen=True)
class Repeat:
    """A job or bot with several returned leases; `story` describes them."""

    id: int
    kind: str
    times: int
    last: datetime
    story: str


def repeated_jobs(rows: Iterable[ReturnedLease], names: Mapping[str, str], most: int | None = None) -> list[Repeat]:
    """Return at most `most` jobs with two returned leases or more, the most first. `names`: of bots, by id."""
    return _repeated(((row.job, row) for row in rows), lambda job, own: _repeated_job(job, own, names), most)


def repeated_bots(rows: Iterable[ReturnedLease], most: int | None = None) -> list[Repeat]:
    """Return at most `most` bots with two returned leases or more, the most first: of how many jobs, and when."""
    return _repeated(((row.bot, row) for row in rows if row.bot is not None), _repeated_bot, most)


def _repeated(
    rows: Iterable[tuple[int, ReturnedLease]],
    describe: Callable[[int, list[ReturnedLease]], Repeat],
    most: int | None,
) -> list[Repeat]:
    groups: defaultdict[int, list[ReturnedLease]] = defaultdict(list)
    for pk, row in rows:
        groups[pk].append(row)
    repeated = [(pk, own) for pk, own in groups.items() if len(own) > 1]
    # Rows come with the newest first. Only what is shown is described.
    repeated.sort(key=lambda group: (-len(group[1]), -group[1][0].at.timestamp()))
    return [describe(pk, own) for pk, own in repeated[:most]]


def _repeated_job(job: int, rows: list[ReturnedLease], names: Mapping[str, str]) -> Repeat:
    bots = list(dict.fromkeys(row.bot for row in rows if row.bot is not None))
    shown = [names.get(str(bot), f"bot {bot}") for bot in bots]
    different = "different " if len(bots) == len(rows) else ""
    story = f"by {len(bots)} {different}bots: {', '.join(shown[:4])}{' …' if len(shown) > 4 else ''}"
    if len(bots) == 1:
        story = f"each time by {shown[0]}"
    return Repeat(job, rows[0].kind, len(rows), max(row.at for row in rows), story)


def _repeated_bot(bot: int, rows: list[ReturnedLease]) -> Repeat:
    jobs, kinds = Counter(row.job for row in rows), sorted({row.kind for row in rows})
    job, most = jobs.most_common(1)[0]
    if len(jobs) == 1:
        story = f"each time job {job}"
    elif most > 1:
        story = f"{len(jobs)} jobs; job {job} {most} times"
    else:
        story = f"{len(jobs)} different jobs"
    days = len({timezone.localtime(row.at).date() for row in rows})
    at_once = len({int(row.at.timestamp()) // WINDOW for row in rows}) == 1
    story += f", {'all at once' if at_once else f'on {days} days' if days > 1 else 'on one day'}"
    return Repeat(bot, kinds[0] if len(kinds) == 1 else f"{len(kinds)} kinds", len(rows), rows[0].at, story)
