"""The bots in incidents: read and written for all incidents of one reconciliation with a statement each."""

from collections.abc import Collection, Iterable
from datetime import datetime

from django.conf import settings
from django.db.models import Q

from alerts.incidents.detectors import AffectedBot
from alerts.models import Incident, IncidentBot


class Members:
    """The bots in some incidents, and their changes in this reconciliation."""

    def __init__(self, incidents: Collection[Incident], now: datetime) -> None:
        self.now = now
        #: By incident and name: current members, and those that left within `INCIDENT_REOPEN_WITHIN`.
        self.rows: dict[int, dict[str, IncidentBot]] = {}
        self.changed: dict[int, IncidentBot] = {}
        self.new: list[IncidentBot] = []
        self.cause = {incident.pk: incident.cause for incident in incidents}
        self.load(incidents)

    def load(self, incidents: Collection[Incident]) -> None:
        """Load the bots of these incidents as well."""
        ids = [incident.pk for incident in incidents]
        if not ids:
            return
        recent = Q(until=None) | Q(until__gte=self.now - settings.INCIDENT_REOPEN_WITHIN)
        for row in IncidentBot.objects.filter(recent, incident__in=ids).order_by("pk"):
            self.rows.setdefault(row.incident_id, {})[row.name] = row

    def ids_of(self, cause: str) -> list[int]:
        """Return the ids of the bots that are in an incident of this cause."""
        return [
            row.bot_id
            for incident, rows in self.rows.items()
            if self.cause.get(incident) == cause
            for row in rows.values()
            if row.until is None and row.bot_id is not None
        ]

    def jobs(self) -> dict[int, list[int]]:
        """Map each job that a member is stuck on to the ids of its incidents."""
        found: dict[int, list[int]] = {}
        for incident, rows in self.rows.items():
            for row in rows.values():
                if row.job_id is not None and row.until is None:
                    found.setdefault(row.job_id, []).append(incident)
        return found

    def update(self, incident: Incident, affected: Iterable[AffectedBot]) -> tuple[list[str], list[str]]:
        """Set the bots that are affected now. Returns the names of those that joined and of those that left.

        A bot that is no longer affected leaves after `INCIDENT_CLEAR_FOR`. One that returns within
        `INCIDENT_REOPEN_WITHIN` is a member again and does not count as joined.
        """
        rows = self.rows.setdefault(incident.pk, {})
        joined, names = [], set()
        for bot in affected:
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
                self._mark_changed(row)
        return joined, self._leave(row for name, row in rows.items() if name not in names and row.until is None)

    def _leave(self, rows: Iterable[IncidentBot]) -> list[str]:
        left = []
        for row in rows:
            if row.clear_since is None:
                row.clear_since = self.now
                self._mark_changed(row)
            if self.now - row.clear_since >= settings.INCIDENT_CLEAR_FOR:
                row.until = row.clear_since
                self._mark_changed(row)
                left.append(row.name)
        return left

    def close(self, incident: Incident) -> None:
        """End the membership of all bots in this incident."""
        for row in self.rows.get(incident.pk, {}).values():
            if row.until is None:
                row.until = row.clear_since or self.now
                self._mark_changed(row)

    def has_unannounced(self, incident: Incident) -> bool:
        """Whether a bot joined after the last notification about this incident."""
        rows = self.rows.get(incident.pk, {}).values()
        return any(row.until is None and row.clear_since is None and row.since > incident.changed_at for row in rows)

    def _mark_changed(self, row: IncidentBot) -> None:
        if row.pk is not None:
            self.changed[row.pk] = row

    def write(self) -> None:
        """Write all changes: one INSERT for new rows, one statement for changed ones."""
        IncidentBot.objects.bulk_create(self.new)
        IncidentBot.objects.bulk_create(
            self.changed.values(),
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=["bot", "reason", "job_id", "until", "clear_since"],
        )
