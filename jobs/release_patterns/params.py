"""Parameters of the page of release patterns: range, kind, bot, and which returns are counted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode

from django.utils import timezone

#: What is counted: `{name: (label, text in a sentence, ways)}`. The first is the default.
COUNTED = {
    "taken": (
        "Released or expired",
        "leases that an operator released or the sweep expired",
        ("released", "expired"),
    ),
    "operators": ("Released by operators", "leases that an operator released", ("released",)),
    "sweep": (
        "Expired by the sweep",
        "leases that the sweep expired",
        ("expired",),
    ),
    "bots": (
        "Handed back by bots",
        "leases that bots handed back, at shutdown or after a restart",
        ("handed_back",),
    ),
    "all": (
        "All returned",
        "all leases that ended without a result: released, expired or handed back",
        ("released", "expired", "handed_back"),
    ),
}
#: The ranges offered: `{name: (label, days; 0: the last 24 hours)}`.
RANGES = {"24h": ("24 hours", 0), "7d": ("7 days", 7), "30d": ("30 days", 30), "90d": ("90 days", 90)}
#: The longest range. The rollup is kept a little longer.
LONGEST = timedelta(days=92)
#: Dates outside these years have no next day, or none in every time zone.
YEARS = range(1970, 9000)


@dataclass(frozen=True)
class ReportParams:
    """The page's parameters, as in its query string. `faults`: errors, by field."""

    range: str = "7d"
    since: date | None = None
    until: date | None = None
    kind: str = ""
    bot: str = ""
    counted: str = "taken"
    faults: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_params(cls, params: Mapping[str, str]) -> "ReportParams":
        """Read a query string. Dates are whole days, both included. From alone: until now; To alone: that day."""
        faults: dict[str, str] = {}
        since, until = _day(params, "from", faults), _day(params, "to", faults)
        if since and until and since > until:
            faults["from"] = f"From ({since}) comes after To ({until}). Change one of them."
        if faults:
            since = until = None
        since = since or until
        name = params.get("range") or "7d"
        counted = params.get("counted") or "taken"
        return cls(
            range="" if since else (name if name in RANGES else "7d"),
            since=since,
            until=until,
            kind=str(params.get("kind") or "").replace("\0", "")[:100],
            bot=str(params.get("bot") or "").replace("\0", "")[:100].strip(),
            counted=counted if counted in COUNTED else "taken",
            faults=faults,
        )

    def query(self, **changed: str) -> str:
        """Return the query string of these parameters with changes. Empty ones are left out."""
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
        """The ways to return a lease that are counted."""
        return COUNTED[self.counted][2]

    def span(self, counted_until: datetime) -> tuple[datetime, datetime]:
        """Return start and end: whole days in the installation's time zone, up to `counted_until` at most."""
        if self.since is not None:
            until = min(counted_until, midnight((self.until or timezone.localdate(counted_until)) + timedelta(days=1)))
            since = max(midnight(self.since), midnight(timezone.localdate(counted_until) - LONGEST))
            return since, max(since, until)
        days = RANGES[self.range or "7d"][1]
        if not days:
            # Whole hours of the site. In UTC: in one local zone Python subtracts clocks, not moments.
            last = timezone.localtime(counted_until - timedelta(seconds=1))
            hour = last.replace(minute=0, second=0, microsecond=0).astimezone(UTC)
            return hour - timedelta(hours=23), counted_until
        return midnight(
            timezone.localdate(counted_until - timedelta(seconds=1)) - timedelta(days=days - 1)
        ), counted_until


def _day(params: Mapping[str, str], name: str, faults: dict[str, str]) -> date | None:
    text = str(params.get(name) or "").strip()
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
        if day.year not in YEARS:
            raise ValueError
        return day
    except ValueError:
        faults[name] = f"{name.capitalize()}: {text[:40]!r} is not a date. Write it as 2026-03-31."
        return None


def midnight(day: date) -> datetime:
    """Return the start of the day in the installation's time zone, in UTC: Python subtracts local times wrongly."""
    return datetime.combine(day, time.min, tzinfo=timezone.get_default_timezone()).astimezone(UTC)
