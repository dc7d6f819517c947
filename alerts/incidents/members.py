"""Who is in which incident: the bots of all incidents of one pass, read and written with a statement each."""

from collections.abc import Collection, Iterable
from datetime import datetime

from django.conf import settings
from django.db.models import Q

from alerts.incidents.detectors import Seen
from alerts.models import Incident, IncidentBot


class Roll:
    """The bots in some incidents, and what changes of them in this pass."""

    def __init__(self, incidents: Collection[Incident], now: datetime) -> None:
        self.now = now
        #: By incident and name: those that are in it, and those that left it not long ago.
        self.rows: dict[int, dict[str, IncidentBot]] = {}
        self.changed: dict[int, IncidentBot] = {}
        self.new: list[IncidentBot] = []
        self.cause = {incident.pk: incident.cause for incident in incidents}
        self.read(incidents)

    def read(self, incidents: Collection[Incident]) -> None:
        """Also these incidents' bots."""
        ids = [incident.pk for incident in incidents]
        if not ids:
            return
        lately = Q(until=None) | Q(until__gte=self.now - settings.INCIDENT_REOPEN_WITHIN)
        for row in IncidentBot.objects.filter(lately, incident__in=ids).order_by("pk"):
            self.rows.setdefault(row.incident_id, {})[row.name] = row

    def ids_of(self, cause: str) -> list[int]:
        """The ids of the bots that are in an incident of this cause."""
        return [
            row.bot_id
            for incident, rows in self.rows.items()
            if self.cause.get(incident) == cause
            for row in rows.values()
            if row.until is None and row.bot_id is not None
        ]

    def jobs(self) -> dict[int, list[int]]:
        """For each job that a bot of an incident is about: the ids of those incidents."""
        found: dict[int, list[int]] = {}
        for incident, rows in self.rows.items():
            for row in rows.values():
                if row.job_id is not None and row.until is None:
                    found.setdefault(row.job_id, []).append(incident)
        return found

    def call(self, incident: Incident, seen: Iterable[Seen]) -> tuple[list[str], list[str]]:
        """These are the bots that something is wrong with now. Returns who joined, and who has left.

        One that is not seen leaves when that has lasted for `INCIDENT_CLEAR_FOR`. One that is back soon after it left
        is in it again and has not joined anew.
        """
        rows = self.rows.setdefault(incident.pk, {})
        joined, names = [], set()
        for bot in seen:
            names.add(bot.name)
            row = rows.get(bot.name)
            if row is None:
                joined.append(bot.name)
                rows[bot.name] = row = IncidentBot(incident=incident, name=bot.name, since=self.now)
                self.new.append(row)
            job = bot.job_id or row.job_id
            if (row.bot_id, row.reason, row.job_id, row.until, row.clear_since) != (
                bot.bot_id, bot.reason, job, None, None,
            ):  # fmt: skip
                row.bot_id, row.reason, row.job_id, row.until, row.clear_since = bot.bot_id, bot.reason, job, None, None
                self._change(row)
        return joined, self._leave(row for name, row in rows.items() if name not in names and row.until is None)

    def _leave(self, rows: Iterable[IncidentBot]) -> list[str]:
        left = []
        for row in rows:
            if row.clear_since is None:
                row.clear_since = self.now
                self._change(row)
            if self.now - row.clear_since >= settings.INCIDENT_CLEAR_FOR:
                row.until = row.clear_since
                self._change(row)
                left.append(row.name)
        return left

    def end(self, incident: Incident) -> None:
        """Nobody is in this incident any more."""
        for row in self.rows.get(incident.pk, {}).values():
            if row.until is None:
                row.until = row.clear_since or self.now
                self._change(row)

    def untold(self, incident: Incident) -> bool:
        """Whether a bot is in it that joined after the last message about it."""
        rows = self.rows.get(incident.pk, {}).values()
        return any(row.until is None and row.clear_since is None and row.since > incident.changed_at for row in rows)

    def _change(self, row: IncidentBot) -> None:
        if row.pk is not None:
            self.changed[row.pk] = row

    def write(self) -> None:
        """Write what changed: one statement for what is new, one for the rest, however many bots there are."""
        IncidentBot.objects.bulk_create(self.new)
        IncidentBot.objects.bulk_create(
            self.changed.values(),
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=["bot", "reason", "job_id", "until", "clear_since"],
        )
