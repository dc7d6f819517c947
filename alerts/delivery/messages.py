"""Build notifications: the problem, since when, the reason, and a link to Release. As JSON and as text.

The JSON object is built when the incident changes and stored in the outbox; webhooks post it. The links to its jobs are
refreshed when it is sent. Texts for people are made from the object. It is a public format: fields may be added, never
changed or removed.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.urls import reverse

from alerts.delivery.links import JobLinks, bot_lines
from alerts.models import Incident
from alerts.states import Cause, Moment, Severity
from jobsite.lib.badges import exact
from jobsite.lib.durations import words
from jobsite.lib.plain_text import in_chat, one_line

#: How many bots a notification names.
BOTS_NAMED = 10
#: How many kinds of an incident about many it lists.
KINDS_NAMED = 100
#: The longest subject.
SUBJECT_LENGTH = 150


def build(incident: Incident, moment: Moment, now: datetime) -> dict[str, Any]:
    """Build the notification of this incident as it is now. `now`: the database's time."""
    rows = incident.bots.all() if moment == Moment.RESOLVED else incident.bots.filter(until=None)
    lines = bot_lines(rows, BOTS_NAMED + 1)
    count = rows.count() if len(lines) > BOTS_NAMED else len(lines)
    return {
        "moment": str(moment),
        "test": False,
        "at": _iso(now),
        "incident": _incident_fields(incident) | {"url": _url("admin:alerts_incident_change", incident.pk)},
        "bots": [
            {
                "name": line.row.name,
                "bot_id": line.row.bot_id,
                "job": line.row.job_id,
                "reason": line.row.reason,
                "since": _iso(line.row.since),
                "url": _on_site(line.bot_url),
                "job_url": _on_site(line.job_url),
                "release_url": _on_site(line.release_url),
            }
            for line in lines[:BOTS_NAMED]
        ],
        "more_bots": count - min(count, BOTS_NAMED),
    }


def refresh_links(message: dict[str, Any]) -> dict[str, Any]:
    """Return the notification with current job links: no Release link for a job that its bot no longer holds.

    It may have waited for a retry or for the end of quiet hours. Everything else stays as of the change.
    """
    jobs = JobLinks(bot["job"] for bot in message["bots"])
    bots = [
        bot
        | {
            "job_url": _on_site(jobs.job_path(bot["job"])),
            # Rows written by earlier versions lack the bot's id.
            "release_url": _on_site(jobs.release_path(bot["job"], bot.get("bot_id"))),
        }
        for bot in message["bots"]
    ]
    return message | {"bots": bots}


def build_test(now: datetime, by: str) -> dict[str, Any]:
    """Build a test notification in the same format. `by`: the user who sends it."""
    incident = Incident(
        pk=0,
        cause=Cause.STUCK,
        severity=Severity.WARNING,
        title="This is a test of this channel",
        reason=f"Nothing has happened. {by} pressed “Send a test”. Notifications of incidents will come here.",
        opened_at=now,
    )
    fields = _incident_fields(incident) | {"url": _url("admin:index")}
    return {"moment": Moment.OPENED, "test": True, "at": _iso(now), "incident": fields, "bots": [], "more_bots": 0}


def _incident_fields(incident: Incident) -> dict[str, Any]:
    fields = ("state", "cause", "about", "kind", "kinds", "severity", "title", "reason", "acknowledged_by")
    times = ("opened_at", "acknowledged_at", "resolved_at")
    values: dict[str, Any] = {"id": incident.pk} | {name: getattr(incident, name) for name in fields}
    values["kinds"] = values["kinds"][:KINDS_NAMED]
    return values | {name: _iso(getattr(incident, name)) for name in times}


# --- Text --------------------------------------------------------------------------------------------------------


#: Makes a text from strangers safe for a receiver.
Clean = Callable[[object], str]
#: Services that show text as it is. All others may make mentions and links of it.
MAIL = ("mailto", "mailtos")


def cleaner(address: str) -> Clean:
    """What makes text from strangers safe for the receiver at this address."""
    return one_line if address.partition("://")[0].strip().lower() in MAIL else in_chat


def subject(message: dict[str, Any], moment: Moment, clean: Clean = one_line) -> str:
    """One line: `OPENED, critical: 3 bots are stuck`."""
    incident = message["incident"]
    word = "TEST" if message["test"] else moment.upper()
    severity = "" if moment == Moment.RESOLVED or message["test"] else f", {incident['severity']}"
    line = f"{word}{severity}: {clean(' '.join(incident['title'].split()))}"
    return line if len(line) <= SUBJECT_LENGTH else line[: SUBJECT_LENGTH - 1] + "…"


def text(message: dict[str, Any], moment: Moment, id: str, clean: Clean = one_line) -> str:
    """The body as plain text, for mail and chat. `id`: the delivery's id. `clean`: see `cleaner`."""
    incident = message["incident"]
    paragraphs = [
        _when(message, moment),
        clean(incident["reason"].strip()),
        _bots(message, moment, clean),
        _acknowledged(incident, moment, clean),
        _links(incident, message["test"]),
        f"Delivery {id}. If you get it twice, it is the same one.",
    ]
    return "\n\n".join(filter(None, paragraphs))


def _when(message: dict[str, Any], moment: Moment) -> str:
    incident = message["incident"]
    opened = datetime.fromisoformat(incident["opened_at"])
    until = datetime.fromisoformat(incident["resolved_at"] or message["at"])
    lasted = words(max(until - opened, timedelta(0)))
    if moment == Moment.RESOLVED:
        return f"Resolved {exact(until)}, after {lasted}."
    if moment == Moment.OPENED:
        return f"Since {exact(opened)}."
    return f"Since {exact(opened)}, for {lasted} now."


def _bots(message: dict[str, Any], moment: Moment, clean: Clean) -> str:
    lines = []
    for bot in message["bots"]:
        job = f", job {bot['job']}" if bot["job"] else ""
        why = f": {clean(bot['reason'])}" if bot["reason"] else ""
        lines.append(f"- {clean(bot['name'])}{job}{why}")
        # When the incident is resolved, the bot has recovered and may still be working on the job.
        if bot["release_url"] and moment != Moment.RESOLVED:
            lines.append(f"  Release it: {bot['release_url']}")
        elif bot.get("job_url"):
            lines.append(f"  The job: {bot['job_url']}")
        if bot["url"]:
            lines.append(f"  The bot: {bot['url']}")
    if message["more_bots"]:
        lines.append(f"- and {message['more_bots']} more")
    return "\n".join(lines)


def _acknowledged(incident: dict[str, Any], moment: Moment, clean: Clean) -> str:
    if not incident["acknowledged_by"] or moment == Moment.RESOLVED:
        return ""
    return f"{clean(incident['acknowledged_by'])} has acknowledged it."


def _links(incident: dict[str, Any], test: bool) -> str:
    what = "Jobsite" if test else f"Incident {incident['id']}"
    if incident["url"].startswith("http"):
        return f"{what}: {incident['url']}"
    # Without SITE_URL the public name of this installation is not known, so only paths can be given.
    return f"{what}. The links are paths on your Jobsite: its setting SITE_URL is empty." if incident["url"] else ""


def _url(view: str, *args: Any) -> str:
    return _on_site(reverse(view, args=args))


def _on_site(path: str) -> str:
    """The URL of this path: only the path without SITE_URL, and empty for an empty path."""
    return path and f"{settings.SITE_URL}{path}"


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")
