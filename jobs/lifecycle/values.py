"""What the verbs take and return: who acts, reports of bots, and what changed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import AbstractBaseUser

from bots.models import Bot
from jobs.errors import LeaseLost
from jobs.states import Actor
from jobsite.lib.errors import NotFound

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class By:
    """Who does it: an operator (by user name), a bot, or the sweep."""

    actor: Actor
    name: str
    bot_id: int | None = None

    @classmethod
    def operator(cls, user: AbstractBaseUser) -> "By":
        return cls(Actor.OPERATOR, user.get_username())

    @classmethod
    def bot(cls, bot: Bot) -> "By":
        return cls(Actor.BOT, bot.name, bot.pk)


SWEEP = By(Actor.SWEEP, "sweep_stuck")


@dataclass(frozen=True)
class Change:
    """One job that a verb changed.

    `bot` and `bot_name` are who held it; `due`: its time to run has come; `held_for` is in seconds.
    """

    id: int
    attempt: int
    previous_status: str
    status: str
    bot: int | None
    bot_name: str | None
    kind: str
    due: bool
    held_for: float | None


@dataclass(frozen=True)
class Claimed:
    """One job as its new holder gets it."""

    id: int
    kind: str
    attempt: int
    max_attempts: int
    payload: Any
    priority: int
    key: str | None
    run_at: datetime
    deadline_at: datetime


@dataclass(frozen=True)
class Renewed:
    """One lease that was started or renewed."""

    id: int
    attempt: int
    status: str
    deadline_at: datetime


@dataclass(frozen=True)
class Outcome:
    """What a bot's reports came to: leases accepted (now, or the same report before), and why others were not."""

    accepted: list[int]
    rejected: dict[int, LeaseLost | NotFound]

    def only(self, job_id: int) -> None:
        """Raise what was wrong with this one, if anything was."""
        if job_id in self.rejected:
            raise self.rejected[job_id]


@dataclass(frozen=True)
class Report:
    """What a bot says of one lease."""

    id: int
    attempt: int
    result: Any = None
    error: str = ""
    retry: bool = True
    progress: int | None = None
    note: str | None = None


@dataclass(frozen=True)
class Wanted:
    """What a bot asks for: at most `limit` jobs, of these kinds (None: any it takes), started or only claimed."""

    limit: int = 1
    kinds: Collection[str] | None = None
    start: bool = True


@dataclass(frozen=True)
class Turn:
    """A bot's whole turn: what it says of the leases it holds, and what it asks for. A job is named once at most."""

    completed: Sequence[Report] = ()
    failed: Sequence[Report] = ()
    heartbeats: Sequence[Report] = ()
    claim: Wanted | None = None

    @property
    def ids(self) -> list[int]:
        """The jobs it names, in order."""
        return sorted(report.id for reports in (self.completed, self.failed, self.heartbeats) for report in reports)


@dataclass(frozen=True)
class Exchanged:
    """What a turn came to. `room`: the bot could have got jobs, had there been any for it."""

    accepted: list[int]
    rejected: dict[int, LeaseLost | NotFound]
    jobs: list[Claimed]
    room: bool


@dataclass(frozen=True)
class PlainTurn:
    """A turn in which nothing was out of the ordinary: every report holds.

    `jobs` are the claimed ones, as a JSON list; `kinds` those the claim was for (None: any); `room`: the bot could
    have got jobs, had there been any for it.
    """

    jobs: str
    claimed: int
    kinds: tuple[str, ...] | None
    room: bool
    paused: bool
    restart: bool
