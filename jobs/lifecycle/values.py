"""What the verbs take and return: who acts, reports of bots, and what changed."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser

from bots.models import Bot
from jobs.errors import LeaseLost
from jobs.states import Actor
from jobsite.lib.errors import NotFound


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
