"""Open, change and resolve incidents by what the detectors find. The only writer of incidents."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q

from alerts.delivery import outbox
from alerts.incidents import detectors, sweep_late
from alerts.incidents import notes as incidents_notes
from alerts.incidents.detectors import Found
from alerts.incidents.members import Roll
from alerts.incidents.sweep_late import Standing
from alerts.models import Incident, IncidentNote
from alerts.states import Cause, Moment, Severity
from jobsite.lib.durations import words

#: Any number that no other lock of this database has: one pass at a time.
LOCK = 0xA1E7
#: How long a pass waits for somebody who has an incident's row: a click takes milliseconds.
PATIENCE = "5s"
#: How often the time that a cause must stay away doubles, when it comes back again and again.
MOST_DOUBLINGS = 5
RANK = {Severity.WARNING: 0, Severity.CRITICAL: 1}
#: What concerns one kind, so that a sweep of one kind can judge it.
OF_A_KIND = (Cause.STUCK, Cause.WAITING, Cause.FAILING)
#: What about an incident is written after each pass, where it changed.
CHANGING = (
    "severity", "title", "reason", "changed_at", "state", "acknowledged_at", "acknowledged_by", "resolved_at",
    "clear_since", "reopened", "back_at", "noted_event",
)  # fmt: skip


@dataclass
class Pass:
    """One look at the house: what is written and told when it ends."""

    now: datetime
    opened: int = 0
    resolved: int = 0
    #: What people are told, when all of it has been written.
    told: list[tuple[Incident, Moment]] = field(default_factory=list)
    notes: list[IncidentNote] = field(default_factory=list)

    def note(self, incident: Incident, text: str) -> None:
        self.notes.append(IncidentNote(incident=incident, at=self.now, text=text))

    def tell(self, incident: Incident, moment: Moment) -> None:
        """A change that people are told of. It is told when all of it has been written."""
        incident.changed_at = self.now
        self.told.append((incident, moment))


def watch(*, kind: str | None = None, before: Standing | None = None) -> Pass | None:
    """Open, change and resolve incidents by what is wrong now. None when another pass is at it.

    `kind` judges the incidents of one kind alone. `before` is how it stood with the sweep when this one began: a gap
    that was too long is an incident of its own, though it is over.
    """
    with transaction.atomic():
        now = _alone()
        if now is None:
            return None
        mine = Q() if kind is None else Q(cause__in=OF_A_KIND, about=kind)
        open_ones = list(Incident.objects.open().filter(mine).select_for_update(no_key=True, of=("self",)))
        roll = Roll(open_ones, now)
        found = detectors.look(now, open_ones, roll.ids_of(Cause.DOWN), kind=kind)
        if kind is None:
            found += sweep_late.gap(before)
        return _judge(Pass(now), open_ones, found, roll)


def check_sweep() -> Pass | None:
    """Open the incident that no sweep runs, if that is so. None when a pass is at it: then one runs.

    For whoever has a timer and is not the sweep: `send_alerts --loop`. It resolves nothing; the next sweep does.
    """
    with transaction.atomic():
        now = _alone()
        if now is None:
            return None
        found = sweep_late.late()
        open_ones = list(Incident.objects.open().filter(cause=Cause.UNSWEPT).select_for_update(no_key=True))
        if not found:
            return Pass(now)
        return _judge(Pass(now), open_ones, found, Roll(open_ones, now))


def _alone() -> datetime | None:
    """The database's time, if no other pass runs; the lock ends with the transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_try_advisory_xact_lock(%s), statement_timestamp(), set_config('lock_timeout', %s, true)",
            [LOCK, PATIENCE],
        )
        free, now, _ = cursor.fetchone()
    return now if free else None


def _judge(this: Pass, open_ones: list[Incident], found: list[Found], roll: Roll) -> Pass:
    was = {incident.pk: _values(incident) for incident in open_ones}
    there = {(incident.cause, incident.about): incident for incident in open_ones}
    new = [one for one in found if (one.cause, one.about) not in there]
    back = _lately_resolved(this.now, new)
    was |= {incident.pk: _values(incident) for incident in back.values()}
    roll.read(back.values())
    for one in found:
        key = (str(one.cause), one.about)
        if key in there:
            _go_on(this, there[key], one, roll)
        elif key in back:
            there[key] = back[key]
            _reopen(this, back[key], one, roll)
        else:
            there[key] = incident = _open(this, one, roll)
            was[incident.pk] = _values(incident)
    seen = {(one.cause, one.about) for one in found}
    incidents_notes.follow(this.notes, list(there.values()), roll, this.now)
    for key, incident in there.items():
        if key not in seen:
            _clear(this, incident, roll)
    changed = [incident for incident in there.values() if was[incident.pk] != _values(incident)]
    Incident.objects.bulk_update(changed, CHANGING)
    roll.write()
    IncidentNote.objects.bulk_create(this.notes)
    for incident, moment in this.told:
        outbox.tell(incident, moment)
    return this


def _values(incident: Incident) -> tuple[object, ...]:
    return tuple(getattr(incident, name) for name in CHANGING)


def _lately_resolved(now: datetime, new: list[Found]) -> dict[tuple[str, str], Incident]:
    """Incidents that these findings were not long ago, by what they are about; the last of each."""
    if not new:
        return {}
    lately = Incident.objects.filter(
        resolved_at__gte=now - settings.INCIDENT_REOPEN_WITHIN,
        cause__in={one.cause for one in new},
        about__in={one.about for one in new},
    )
    wanted = {(one.cause, one.about) for one in new}
    rows = lately.order_by("resolved_at", "pk").select_for_update(no_key=True)
    return {(i.cause, i.about): i for i in rows if (i.cause, i.about) in wanted}


def _open(this: Pass, one: Found, roll: Roll) -> Incident:
    incident = Incident.objects.create(
        cause=one.cause,
        about=one.about,
        kind=one.kind,
        severity=one.severity,
        title=one.title,
        reason=one.reason,
        usual=one.usual,
        opened_at=this.now,
        changed_at=this.now,
    )
    roll.call(incident, one.bots)
    this.note(incident, f"Opened: {one.reason}")
    this.opened += 1
    this.tell(incident, Moment.OPENED)
    return incident


def _reopen(this: Pass, incident: Incident, one: Found, roll: Roll) -> None:
    away = words(this.now - (incident.resolved_at or this.now))
    incident.resolved_at = incident.clear_since = None
    incident.reopened += 1
    incident.back_at = this.now
    incident.state += 1
    incident.title, incident.reason = one.title, one.reason
    incident.severity = _worst(incident.severity, one.severity)
    incident.acknowledged_at, incident.acknowledged_by = None, ""
    roll.call(incident, one.bots)
    this.note(incident, f"Came back {away} after it had resolved: {one.reason}")
    this.opened += 1
    this.tell(incident, Moment.OPENED)


def _go_on(this: Pass, incident: Incident, one: Found, roll: Roll) -> None:
    rose = RANK[one.severity] > RANK[Severity(incident.severity)]
    incident.title, incident.reason, incident.clear_since = one.title, one.reason, None
    joined, left = roll.call(incident, one.bots)
    for names, what in ((joined, "Joined"), (left, "Well again")):
        if names:
            this.note(incident, f"{what}: {named(names)}.")
    if rose:
        this.note(incident, f"From {incident.severity} to {one.severity}: {one.reason}")
        incident.severity = one.severity
    quiet = this.now - incident.changed_at < settings.INCIDENT_WORSE_EVERY
    if rose or (roll.untold(incident) and not quiet):
        incident.state += 1
        if incident.acknowledged_at is not None:
            this.note(incident, f"It got worse since {incident.acknowledged_by} acknowledged it, and asks again.")
            incident.acknowledged_at, incident.acknowledged_by = None, ""
        this.tell(incident, Moment.WORSE)


def _clear(this: Pass, incident: Incident, roll: Roll) -> None:
    """Its cause is not seen. That must last before it resolves."""
    if incident.clear_since is None:
        incident.clear_since = this.now
        if incident.cause == Cause.UNSWEPT:
            this.note(incident, "The sweep runs again.")
    _, left = roll.call(incident, [])
    if left:
        this.note(incident, f"Well again: {named(left)}.")
    if this.now - incident.clear_since < must_stay_away(incident):
        return
    roll.end(incident)
    incident.resolved_at, incident.clear_since = this.now, None
    incident.state += 1
    this.note(incident, f"Resolved after {words(this.now - incident.opened_at)}.")
    this.resolved += 1
    this.tell(incident, Moment.RESOLVED)


def must_stay_away(incident: Incident) -> timedelta:
    """For how long its cause must not be seen before it resolves: longer, the more often it came back."""
    clear_for: timedelta = settings.INCIDENT_CLEAR_FOR
    return clear_for * 2 ** min(incident.reopened, MOST_DOUBLINGS)


def _worst(one: str, other: str) -> Severity:
    return max(Severity(one), Severity(other), key=lambda severity: RANK[severity])


def named(names: Collection[str], most: int = 10) -> str:
    """These names in a sentence, the first of many."""
    said = ", ".join(list(names)[:most])
    return f"{said} and {len(names) - most} more" if len(names) > most else said
