"""Arguments and results of the verbs: actors, reports of bots, changes."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser

from bots.audit import COMMAND, Who
from bots.models import Bot
from jobs.errors import LeaseLost, TooManyDeferrals
from jobs.states import Actor
from jobsite.lib.errors import NotFound


@dataclass(frozen=True)
class By:
    """The actor: an operator (by user name), a bot, or the sweep. `who` is the operator, as the audit log has it.

    `instance`: which of the bot's; None: no process of it.
    """

    actor: Actor
    name: str
    bot_id: int | None = None
    who: Who = COMMAND
    instance: str | None = None

    @classmethod
    def operator(cls, who: Who | AbstractBaseUser) -> "By":
        """An operator. A user stands for one who acts by a command."""
        who = who if isinstance(who, Who) else Who(who.get_username())
        return cls(Actor.OPERATOR, who.name, who=who)

    @classmethod
    def bot(cls, bot: Bot, instance: str | None = None) -> "By":
        return cls(Actor.BOT, bot.name, bot.pk, instance=instance)


SWEEP = By(Actor.SWEEP, "sweep_stuck")


@dataclass(frozen=True)
class Change:
    """One job that a verb changed.

    `bot` and `bot_name`: its holder before; `due`: its `run_at` has passed; `held_for`: in seconds.
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
    """One job as its new holder receives it."""

    id: int
    kind: str
    attempt: int
    max_attempts: int
    payload: Any
    priority: int
    key: str | None
    run_at: datetime
    deadline_at: datetime
    lease_for: float


@dataclass(frozen=True)
class Renewed:
    """One lease that was started or renewed."""

    id: int
    attempt: int
    status: str
    deadline_at: datetime
    lease_for: float


#: Why a report did not hold.
Refusal = LeaseLost | TooManyDeferrals | NotFound


@dataclass(frozen=True)
class Outcome:
    """The result of a bot's reports: accepted leases (now, or by the same report before), and errors of the others.

    `paused` and `restart`: what operators want of the instance.
    """

    accepted: list[int]
    rejected: dict[int, Refusal]
    paused: bool
    restart: bool

    @property
    def orders(self) -> dict[str, bool]:
        """What operators want, as every answer to a bot has it."""
        return {"paused": self.paused, "restart": self.restart}

    def raise_error(self, job_id: int) -> None:
        """Raise the error of this report, if it has one."""
        if job_id in self.rejected:
            raise self.rejected[job_id]


@dataclass(frozen=True)
class Report:
    """A bot's report on one lease. `retry_in` and `run_in`: in how many seconds the job is due again.

    A release with `run_in` is a deferral.
    """

    id: int
    attempt: int
    result: Any = None
    error: str = ""
    retry: bool = True
    retry_in: float | None = None
    run_in: float | None = None
    progress: int | None = None
    note: str | None = None


@dataclass(frozen=True)
class ClaimRequest:
    """A request for at most `limit` jobs of these kinds (None: any the bot takes), started or only claimed."""

    limit: int = 1
    kinds: Collection[str] | None = None
    start: bool = True
