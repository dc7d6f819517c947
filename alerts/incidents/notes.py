"""Note what happens to an incident's jobs (releases, expiries, retries) and by whom in the incident's history."""

from datetime import datetime, timedelta

from alerts.incidents.members import Members
from alerts.models import Incident, IncidentNote
from jobs import transitions
from jobs.models import JobEvent
from jobs.states import Actor
from jobsite.lib.planner import any_of

#: The most jobs that one note names.
JOBS_NAMED = 10
#: Acts of the sweep so shortly before an incident opened are noted, too: they are why it opened.
BEFORE_OPENING = timedelta(minutes=2)


def follow(notes: list[IncidentNote], incidents: list[Incident], members: Members, now: datetime) -> None:
    """Add a note for each act on jobs of these incidents, and advance `noted_event`.

    Acts of one person with one verb and reason become one note.
    """
    jobs = members.jobs()
    by_id = {incident.pk: incident for incident in incidents}
    if not jobs:
        return
    events = JobEvent.objects.filter(
        any_of("job_id", jobs),
        id__gt=min(incident.noted_event for incident in incidents),
        at__gte=min(incident.opened_at for incident in incidents) - BEFORE_OPENING,
        verb__in=transitions.INTERVENING,
        actor__in=(Actor.OPERATOR, Actor.SWEEP),
    )
    lines: dict[tuple[int, str, str, str], list[int]] = {}
    last: dict[int, int] = {}
    for pk, job, verb, actor, by, reason, at in events.order_by("pk").values_list(
        "pk", "job", "verb", "actor", "by", "reason", "at"
    ):
        for incident_id in jobs[job]:
            incident = by_id[incident_id]
            if pk <= incident.noted_event:
                continue
            last[incident_id] = pk
            if at < incident.opened_at - (BEFORE_OPENING if actor == Actor.SWEEP else timedelta(0)):
                continue
            key = (incident_id, by if actor == Actor.OPERATOR else "", verb, reason if actor == Actor.OPERATOR else "")
            lines.setdefault(key, []).append(job)
    for (incident_id, by, verb, reason), ids in lines.items():
        notes.append(IncidentNote(incident=by_id[incident_id], at=now, by=by, text=_line(by, verb, ids, reason)))
    for incident_id, pk in last.items():
        by_id[incident_id].noted_event = pk


def _line(by: str, verb: str, ids: list[int], reason: str) -> str:
    ids = list(dict.fromkeys(ids))
    named = ", ".join(map(str, ids[:JOBS_NAMED])) + (
        f" and {len(ids) - JOBS_NAMED} more" if len(ids) > JOBS_NAMED else ""
    )
    # Who did it stands beside the note.
    done = transitions.done(verb)
    text = f"{done[:1].upper() + done[1:] if by else f'The sweep {done}'} job{'s' if len(ids) != 1 else ''} {named}"
    return f"{text}: {reason}" if reason else f"{text}."
