"""What a sweep did, or in a dry run would do."""

from dataclasses import dataclass, field, fields
from datetime import datetime

#: How many leases past a limit a sweep names in `actions`; of others it says how many there are. A dry run names all.
NAMED = 200


@dataclass(frozen=True)
class Act:
    """What was or would be done to one lease (or, with no job, to a bot), and why."""

    #: `expire`, `fail`, `flag`, `wait` (past a limit, and nothing is done yet); `quarantine`, `down` of a bot.
    action: str
    bot: int
    reason: str
    job: int | None = None
    kind: str | None = None
    #: The job's status afterwards; None when it stays as it is.
    becomes: str | None = None


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
    pruned: int = 0
    incidents_opened: int = 0
    incidents_resolved: int = 0
    #: What was done to leases past a limit, and to their bots: the first `NAMED`. In a dry run, what would be: all.
    actions: list[Act] = field(default_factory=list)
    #: How many more there were.
    unnamed: int = 0
    #: When it began; its record is known by that.
    began: datetime | None = None

    def add(self, part: "Swept") -> None:
        """Put what one batch did to the rest."""
        for name, n in part.counts().items():
            setattr(self, name, getattr(self, name) + n)
        room = max(0, NAMED - len(self.actions))
        self.actions += part.actions[:room]
        self.unnamed += part.unnamed + len(part.actions[room:])

    def counts(self) -> dict[str, int]:
        """The figures alone, as `sweep_stuck --json` prints them."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("actions", "unnamed", "began")}
