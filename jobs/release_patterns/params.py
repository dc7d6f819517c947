"""What the page of release patterns is asked for: a range, a kind, a bot, and which hand-backs are counted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode

from django.utils import timezone

#: What is counted: `{name: (in a word, in a sentence, the ways)}`. The first is what a page begins with.
COUNTED = {
    "taken": (
        "Taken back",
        "leases that an operator released, or that expired because nobody worked on them",
        ("released", "expired"),
    ),
    "operators": ("Released by operators", "leases that an operator released", ("released",)),
    "sweep": (
        "Taken by the sweep",
        "leases that expired, or that the sweep failed, because nobody worked on them",
        ("expired",),
    ),
    "bots": (
        "Handed back by bots",
        "leases that bots handed back themselves, at shutdown or when they were started again",
        ("handed_back",),
    ),
    "all": (
        "All given back",
        "all leases that were given back unfinished: by operators, by the sweep and by the bots themselves",
        ("released", "expired", "handed_back"),
    ),
}
#: The ranges a page offers: `{name: (in words, days; 0: the last 24 hours)}`.
RANGES = {"24h": ("24 hours", 0), "7d": ("7 days", 7), "30d": ("30 days", 30), "90d": ("90 days", 90)}
#: The longest range; the rollup is kept a little longer.
LONGEST = timedelta(days=92)


@dataclass(frozen=True)
class Question:
    """What the page is asked for, as it stands in its address. `faults`: what could not be understood, by field."""

    range: str = "7d"
    since: date | None = None
    until: date | None = None
    kind: str = ""
    bot: str = ""
    counted: str = "taken"
    faults: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, params: Mapping[str, str]) -> "Question":
        """From a query string. Dates are whole days, both included; From alone reaches to now, To alone is one day."""
        faults: dict[str, str] = {}
        since, until = _day(params, "from", faults), _day(params, "to", faults)
        if since and until and since > until:
            faults["from"] = f"From ({since}) comes after To ({until}). Change one of them."
        if faults:
            since = until = None
        since = since or until
        named = params.get("range") or "7d"
        counted = params.get("counted") or "taken"
        return cls(
            range="" if since else (named if named in RANGES else "7d"),
            since=since,
            until=until,
            kind=str(params.get("kind") or "").replace("\0", "")[:100],
            bot=str(params.get("bot") or "").replace("\0", "")[:100].strip(),
            counted=counted if counted in COUNTED else "taken",
            faults=faults,
        )

    def query(self, **changed: str) -> str:
        """The query string of this question, with some of it changed; what is empty is left out."""
        parts = {
            "range": self.range,
            "from": str(self.since or ""),
            "to": str(self.until or ""),
            "kind": self.kind,
            "bot": self.bot,
            "counted": "" if self.counted == "taken" else self.counted,
        } | changed
        if changed.get("range"):
            parts |= {"from": "", "to": ""}
        return urlencode({name: value for name, value in parts.items() if value})

    @property
    def ways(self) -> tuple[str, ...]:
        """The ways to give a lease back that are counted."""
        return COUNTED[self.counted][2]

    def span(self, mark: datetime) -> tuple[datetime, datetime]:
        """From when until when, as moments: whole days in the site's time zone, and never beyond the mark."""
        if self.since is not None:
            until = min(mark, midnight((self.until or timezone.localdate(mark)) + timedelta(days=1)))
            since = max(midnight(self.since), midnight(timezone.localdate(mark) - LONGEST))
            return since, max(since, until)
        days = RANGES[self.range or "7d"][1]
        if not days:
            # Whole hours of the site. In UTC: in one local zone Python subtracts clocks, not moments.
            hour = timezone.localtime(mark).replace(minute=0, second=0, microsecond=0).astimezone(UTC)
            return hour - timedelta(hours=23), mark
        return midnight(timezone.localdate(mark - timedelta(seconds=1)) - timedelta(days=days - 1)), mark


def _day(params: Mapping[str, str], name: str, faults: dict[str, str]) -> date | None:
    text = str(params.get(name) or "").strip()
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        faults[name] = f"{name.capitalize()}: {text[:40]!r} is no date. Write it as 2026-03-31."
        return None


def midnight(day: date) -> datetime:
    """Where the day begins in the site's time zone. In UTC: in one local zone Python subtracts clocks, not moments."""
    return datetime.combine(day, time.min, tzinfo=timezone.get_default_timezone()).astimezone(UTC)
