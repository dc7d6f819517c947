"""Reports that must not hold, each for one reason alone: what the bots hold, who reports, and of which lease."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bots.models import Bot
from jobs import lifecycle
from jobs.lifecycle import SWEEP
from jobs.models import Job, JobEvent
from jobs.states import Verb
from tests.cast import Lease, take_one

#: The reports in an exchange, by the call that makes each alone.
IN_AN_EXCHANGE = {"complete": "completed", "fail": "failed", "heartbeat": "heartbeats"}
#: Calls about one lease.
CALLS = (*IN_AN_EXCHANGE, "start", "release")
#: What is kept when it comes too late.
KEPT = ("complete", "fail")


@dataclass(frozen=True)
class Refused:
    """A report that must change nothing: `lease` says who makes it and of which attempt."""

    lease: Lease
    #: The bot held this attempt once, and so a result or failure is kept as an event.
    once_held: bool

    def body(self, call: str) -> dict[str, Any]:
        """The report as an item of an exchange."""
        return report(self.lease, call)


def report(lease: Lease, call: str) -> dict[str, Any]:
    """What the bot sends of this lease in an exchange."""
    return {"id": lease.id, "attempt": lease.attempt} | ({"error": "it broke"} if call == "fail" else {})


def _earlier_attempt(ada: Bot, bob: Bot) -> Refused:
    old = take_one(ada)
    lifecycle.release([old.id], by=SWEEP)
    (again,) = lifecycle.claim(ada)
    assert (again.id, again.attempt) == (old.id, old.attempt + 1)
    return Refused(old, once_held=True)


def _attempt_to_come(ada: Bot, bob: Bot) -> Refused:
    lease = take_one(ada)
    return Refused(Lease(ada, lease.id, lease.attempt + 1), once_held=False)


def _lease_of_another_bot(ada: Bot, bob: Bot) -> Refused:
    lease = take_one(ada)
    return Refused(Lease(bob, lease.id, lease.attempt), once_held=False)


def _job_given_back(ada: Bot, bob: Bot) -> Refused:
    lease = take_one(ada)
    lifecycle.release([lease.id], by=SWEEP)
    return Refused(lease, once_held=True)


def _job_cancelled(ada: Bot, bob: Bot) -> Refused:
    lease = take_one(ada)
    lifecycle.cancel([lease.id], by=SWEEP)
    return Refused(lease, once_held=True)


def _job_given_up(ada: Bot, bob: Bot) -> Refused:
    lease = take_one(ada)
    lifecycle.give_up([lease.id], by=SWEEP, reasons={lease.id: "silent"})
    return Refused(lease, once_held=True)


def _job_completed(ada: Bot, bob: Bot) -> Refused:
    lease = take_one(ada)
    lease.complete(1)
    # No event ended this lease, and so nothing that comes after it is kept.
    return Refused(lease, once_held=False)


#: `SITUATIONS[name](ada, bob)`: the report that must be refused there. In each, only one guard stands in its way.
SITUATIONS: dict[str, Callable[[Bot, Bot], Refused]] = {
    "earlier attempt": _earlier_attempt,
    "attempt to come": _attempt_to_come,
    "lease of another bot": _lease_of_another_bot,
    "job given back": _job_given_back,
    "job cancelled": _job_cancelled,
    "job given up": _job_given_up,
    "job completed": _job_completed,
}

#: Every situation with every call that must be refused in it: the same result again is accepted.
CASES = [(name, call) for name in SITUATIONS for call in CALLS if (name, call) != ("job completed", "complete")]
#: Those with a report that an exchange can carry.
REPORTS = [(name, call) for name, call in CASES if call in IN_AN_EXCHANGE]


def another(bot: Bot) -> Lease:
    """One more lease of this bot, of a new job, whatever else could be claimed."""
    return take_one(bot, priority=2_000_000)


def state(*apart: int) -> dict[str, list[dict[str, Any]]]:
    """Every job but these, every event but late ones, and every bot but for when it was last seen."""
    jobs = Job.objects.exclude(pk__in=apart).order_by("pk")
    bots = Bot.objects.order_by("pk").values()
    return {
        "jobs": list(jobs.values()),
        "events": list(JobEvent.objects.exclude(verb=Verb.LATE).exclude(job__in=apart).order_by("pk").values()),
        "bots": [{k: v for k, v in bot.items() if k != "last_seen_at"} for bot in bots],
    }


def late() -> list[tuple[int, int, int | None]]:
    """`(job, attempt, bot)` of each event that keeps what came too late."""
    return list(JobEvent.objects.filter(verb=Verb.LATE).order_by("pk").values_list("job", "attempt", "bot"))
