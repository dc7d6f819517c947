"""Open, change and resolve incidents to match the detectors' findings."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import OperationalError, transaction
from django.db.models import Q, QuerySet
from psycopg.errors import LockNotAvailable

from alerts.delivery import outbox
from alerts.incidents import (
    detectors,
    errors_of_kinds,
    folding,
    gathered,
    hanging,
    refused,
    schedule_missed,
    sweep_late,
)
from alerts.incidents import notes as incidents_notes
from alerts.incidents.detectors import Finding, name_list
from alerts.incidents.members import Members
from alerts.incidents.sweep_late import SweepStatus
from alerts.models import Incident, IncidentNote
from alerts.states import GATHERED, SEVERITY_RANK, Cause, Moment, Severity
from jobsite.lib import refusals
from jobsite.lib.durations import words
from jobsite.lib.locks import Lock, try_lock

log = structlog.stdlib.get_logger(__name__)

#: How long to wait for an incident's row that somebody else has locked. An acknowledgement takes milliseconds.
LOCK_TIMEOUT = "5s"
#: How many times the clear time doubles at most, for a cause that returns repeatedly.
MAX_DOUBLINGS = 5
#: Causes that concern one kind, so that a sweep of one kind can judge them.
CAUSES_OF_A_KIND = (
    Cause.STUCK, Cause.WAITING, Cause.FAILING, Cause.REFUSED, Cause.KIND_HANGS, Cause.ERROR_NEW, Cause.ERROR_BACK,
)  # fmt: skip
#: The fields of an incident that are written when they changed.
WRITTEN_FIELDS = (
    "severity", "title", "reason", "changed_at", "state", "acknowledged_at", "acknowledged_by", "resolved_at",
    "clear_since", "reopened", "back_at", "noted_event", "usual", "kinds", "announced",
)  # fmt: skip


@dataclass
class Reconciliation:
    """One run: counts, and the notes and notifications that are written at its end."""

    now: datetime
    opened: int = 0
    resolved: int = 0
    notifications: list[tuple[Incident, Moment]] = field(default_factory=list)
    notes: list[IncidentNote] = field(default_factory=list)

    def note(self, incident: Incident, text: str) -> None:
        """Add a line to the incident's history."""
        self.notes.append(IncidentNote(incident=incident, at=self.now, text=text))

    def notify(self, incident: Incident, moment: Moment) -> None:
        """Notify the channels of this change, once everything else has been written."""
        incident.changed_at = self.now
        incident.announced = sorted({*incident.announced, *incident.kinds})
        self.notifications.append((incident, moment))


def reconcile(*, kind: str | None = None, before: SweepStatus | None = None) -> Reconciliation | None:
    """Open, change and resolve incidents by the problems detected now. None when another reconciliation is running.

    `kind` limits it to incidents of that kind. `before`: the status of the sweep when the current one began. A gap that
    was too long opens an incident, although it is over.
    """
    with transaction.atomic():
        now = try_lock(Lock.RECONCILE, lock_timeout=LOCK_TIMEOUT)
        if now is None:
            return None
        in_scope = Q() if kind is None else Q(cause__in=CAUSES_OF_A_KIND, about=kind)
        open_ones, locked = _locked_by_us(Incident.objects.open().filter(in_scope))
        members = Members(open_ones, now)
        findings = detectors.detect(now, open_ones, members.ids_of(Cause.DOWN), kind=kind)
        findings += refused.detect(now, kind) + hanging.detect(kind) + errors_of_kinds.detect(now, kind)
        if kind is None:
            findings += schedule_missed.detect()
            findings = gathered.gather(findings, open_ones, locked) + sweep_late.detect_gap(before)
        else:
            findings = gathered.without_gathered(findings, kind)
        findings = [finding for finding in findings if (finding.cause, finding.about) not in locked]
        return _apply(Reconciliation(now), open_ones, findings, members)


def check_sweep_overdue() -> Reconciliation | None:
    """Open the incident that no sweep runs, if so. None when a reconciliation is running: then a sweep runs, too.

    Call it from a timer other than the sweep (`send_alerts --loop`). It resolves nothing; the next sweep does.
    """
    with transaction.atomic():
        now = try_lock(Lock.RECONCILE, lock_timeout=LOCK_TIMEOUT)
        if now is None:
            return None
        findings = sweep_late.detect_overdue()
        open_ones, locked = _locked_by_us(Incident.objects.open().filter(cause=Cause.UNSWEPT))
        if not findings or locked:
            return Reconciliation(now)
        return _apply(Reconciliation(now), open_ones, findings, Members(open_ones, now))


def _locked_by_us(incidents: QuerySet[Incident]) -> tuple[list[Incident], set[tuple[str, str]]]:
    """Lock these incidents. Returns them, and cause and subject of those that somebody else keeps locked.

    These stay as they are, and all others go on.
    """
    rows = incidents.order_by("pk")
    try:
        with transaction.atomic():
            return list(rows.select_for_update(no_key=True, of=("self",))), set()
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise
        log.warning(f"{refusals.locked_row(error.__cause__)} is locked and stays as it is")
    free = list(rows.select_for_update(no_key=True, of=("self",), skip_locked=True))
    ours = {incident.pk for incident in free}
    return free, {(incident.cause, incident.about) for incident in rows if incident.pk not in ours}


def _apply(run: Reconciliation, open_ones: list[Incident], findings: list[Finding], members: Members) -> Reconciliation:
    original = {incident.pk: _values(incident) for incident in open_ones}
    incidents = {(incident.cause, incident.about): incident for incident in open_ones}
    new = [finding for finding in findings if (finding.cause, finding.about) not in incidents]
    recurring = _resolved_recently(run.now, new)
    original |= {incident.pk: _values(incident) for incident in recurring.values()}
    members.load(recurring.values())
    for finding in findings:
        key = (str(finding.cause), finding.about)
        if key in incidents:
            _update(run, incidents[key], finding, members)
        elif key in recurring:
            incidents[key] = recurring[key]
            _reopen(run, recurring[key], finding, members)
        else:
            incidents[key] = incident = _open(run, finding, members)
            original[incident.pk] = _values(incident)
    present = {(finding.cause, finding.about) for finding in findings}
    incidents_notes.follow(run.notes, list(incidents.values()), members, run.now)
    for key, incident in incidents.items():
        if key not in present:
            _clear(run, incident, members)
    changed = [incident for incident in incidents.values() if original[incident.pk] != _values(incident)]
    # One statement with a row for each. That of `bulk_update` has a condition for each row and field.
    Incident.objects.bulk_create(
        changed, update_conflicts=True, unique_fields=["id"], update_fields=list(WRITTEN_FIELDS)
    )
    members.write()
    IncidentNote.objects.bulk_create(run.notes)
    folding.fold({note.incident_id for note in run.notes})
    for incident, moment in run.notifications:
        outbox.enqueue_notifications(incident, moment)
    return run


def _values(incident: Incident) -> tuple[object, ...]:
    return tuple(getattr(incident, name) for name in WRITTEN_FIELDS)


def _resolved_recently(now: datetime, new: list[Finding]) -> dict[tuple[str, str], Incident]:
    """The last incident of each of these findings that resolved within `INCIDENT_REOPEN_WITHIN`."""
    if not new:
        return {}
    recent = Incident.objects.filter(
        resolved_at__gte=now - settings.INCIDENT_REOPEN_WITHIN,
        cause__in={finding.cause for finding in new},
        about__in={finding.about for finding in new},
    )
    wanted = {(finding.cause, finding.about) for finding in new}
    # One that somebody keeps locked stays as it is, and another opens.
    rows = recent.order_by("resolved_at", "pk").select_for_update(no_key=True, skip_locked=True)
    return {(i.cause, i.about): i for i in rows if (i.cause, i.about) in wanted}


def _open(run: Reconciliation, finding: Finding, members: Members) -> Incident:
    incident = Incident.objects.create(
        cause=finding.cause,
        about=finding.about,
        kind=finding.kind,
        severity=finding.severity,
        title=finding.title,
        reason=finding.reason,
        usual=finding.usual,
        kinds=list(finding.kinds),
        announced=sorted(finding.kinds),
        opened_at=run.now,
        changed_at=run.now,
    )
    members.update(incident, finding.bots)
    run.note(incident, f"Opened: {finding.reason}")
    run.opened += 1
    run.notify(incident, Moment.OPENED)
    return incident


def _reopen(run: Reconciliation, incident: Incident, finding: Finding, members: Members) -> None:
    away = words(run.now - (incident.resolved_at or run.now))
    incident.resolved_at = incident.clear_since = None
    incident.reopened += 1
    incident.back_at = run.now
    incident.state += 1
    incident.title, incident.reason = finding.title, finding.reason
    _set_kinds(incident, finding)
    incident.severity = _worst(incident.severity, finding.severity)
    incident.acknowledged_at, incident.acknowledged_by = None, ""
    members.update(incident, finding.bots)
    run.note(incident, f"Reopened {away} after it had resolved: {finding.reason}")
    run.opened += 1
    run.notify(incident, Moment.OPENED)


def _update(run: Reconciliation, incident: Incident, finding: Finding, members: Members) -> None:
    rose = SEVERITY_RANK[finding.severity] > SEVERITY_RANK[Severity(incident.severity)]
    incident.title, incident.reason, incident.clear_since = finding.title, finding.reason, None
    _set_kinds(incident, finding)
    new_kinds = sorted(set(incident.kinds) - set(incident.announced))
    joined, left = members.update(incident, finding.bots)
    for names, change in ((joined, "Joined"), (left, "Recovered")):
        if names:
            run.note(incident, f"{change}: {name_list(names)}.")
    if rose:
        run.note(incident, f"From {incident.severity} to {finding.severity}: {finding.reason}")
        incident.severity = finding.severity
    too_soon = run.now - incident.changed_at < settings.INCIDENT_WORSE_EVERY
    if rose or ((new_kinds or members.has_unannounced(incident)) and not too_soon):
        incident.state += 1
        if new_kinds:
            run.note(incident, f"Kinds joined: {name_list(new_kinds)}.")
        if incident.acknowledged_at is not None:
            run.note(incident, f"Got worse after {incident.acknowledged_by} acknowledged it; open again.")
            incident.acknowledged_at, incident.acknowledged_by = None, ""
        run.notify(incident, Moment.WORSE)


def _set_kinds(incident: Incident, finding: Finding) -> None:
    """Set the kinds of an incident about many, and what is usual for each."""
    if incident.about == GATHERED:
        incident.kinds, incident.usual = list(finding.kinds), finding.usual


def _clear(run: Reconciliation, incident: Incident, members: Members) -> None:
    """Resolve an incident whose cause is gone, once that has lasted for its clear time."""
    if incident.clear_since is None:
        incident.clear_since = run.now
        if incident.cause == Cause.UNSWEPT:
            run.note(incident, "The sweep runs again.")
    _, left = members.update(incident, [])
    if left:
        run.note(incident, f"Recovered: {name_list(left)}.")
    if run.now - incident.clear_since < clear_time(incident):
        return
    members.close(incident)
    incident.resolved_at, incident.clear_since = run.now, None
    incident.state += 1
    run.note(incident, f"Resolved after {words(run.now - incident.opened_at)}.")
    run.resolved += 1
    run.notify(incident, Moment.RESOLVED)


def clear_time(incident: Incident) -> timedelta:
    """How long the cause must be gone before the incident resolves. Doubles each time the incident reopens."""
    clear_for: timedelta = settings.INCIDENT_CLEAR_FOR
    return clear_for * int(2 ** min(incident.reopened, MAX_DOUBLINGS))


def _worst(one: str, other: str) -> Severity:
    return max(Severity(one), Severity(other), key=lambda severity: SEVERITY_RANK[severity])
