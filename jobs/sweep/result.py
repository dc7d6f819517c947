"""The result of a sweep, or of its dry run."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime

#: How many actions a sweep lists in `actions`; the others are only counted. A dry run lists all.
MAX_ACTIONS = 200


@dataclass(frozen=True)
class SweepAction:
    """What was done, or would be, to one lease or (without a job) to a bot, and why."""

    #: `expire`, `fail`, `flag`, `wait` (past a limit, no action yet); `quarantine`, `down` of a bot.
    action: str
    bot: int
    reason: str
    job: int | None = None
    kind: str | None = None
    #: The job's status afterwards; None when it stays as it is.
    becomes: str | None = None
    #: The name of the instance that is quarantined, if it has one.
    instance: str = ""


@dataclass
class Swept:
    """The counts of one sweep. `potentially_stuck`, `unhealthy` and `down` are bots in that state at its end."""

    checked: int = 0
    potentially_stuck: int = 0
    unhealthy: int = 0
    recovered: int = 0
    down: int = 0
    expired: int = 0
    failed: int = 0
    flagged: int = 0
    dropped: int = 0
    pruned: int = 0
    incidents_opened: int = 0
    incidents_resolved: int = 0
    #: The first `MAX_ACTIONS` actions on leases past a limit and on their bots. In a dry run: all.
    actions: list[SweepAction] = field(default_factory=list)
    #: The number of other actions.
    unlisted: int = 0
    #: When it began: the key of its record.
    began: datetime | None = None

    def add(self, part: "Swept") -> None:
        """Add the result of one batch."""
        for name, n in part.counts().items():
            setattr(self, name, getattr(self, name) + n)
        self.list_actions(part.actions)
        self.unlisted += part.unlisted

    def list_actions(self, actions: Sequence[SweepAction]) -> None:
        """Add these to `actions` as far as there is room, and count the others."""
        room = max(0, MAX_ACTIONS - len(self.actions))
        self.actions += actions[:room]
        self.unlisted += len(actions[room:])

    def counts(self) -> dict[str, int]:
        """The counts alone, as `sweep_stuck --json` prints them."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("actions", "unlisted", "began")}
