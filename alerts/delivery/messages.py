"""What a message says: what, since when, why, and where to press Release. For people and for programs.

What is told is put together when it happens and kept in the outbox's row, as the object that a webhook posts; where its
jobs are to be found is looked up again when it is sent. Texts for people are made from that. A field that is added is
no news to a program; none changes its meaning or goes away.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.urls import reverse

from alerts.delivery.links import Jobs, bots_in
from alerts.models import Incident
from alerts.states import Cause, Moment, Severity
from jobsite.lib.badges import exact
from jobsite.lib.durations import words

#: How many bots a message names.
NAMED = 10
#: The longest subject.
SUBJECT = 150
#: The first word of a message, for each moment.
WORDS = {Moment.OPENED: "OPENED", Moment.WORSE: "WORSE", Moment.AGAIN: "AGAIN", Moment.RESOLVED: "RESOLVED"}


def of(incident: Incident, moment: Moment, now: datetime) -> dict[str, Any]:
    """What there is to tell about this incident as it is now. `now` is the database's."""
    rows = incident.bots.all() if moment == Moment.RESOLVED else incident.bots.filter(until=None)
    named = bots_in(rows, NAMED + 1)
    count = rows.count() if len(named) > NAMED else len(named)
    return {
        "moment": str(moment),
        "test": False,
        "at": _iso(now),
        "incident": _told(incident) | {"url": _url("admin:alerts_incident_change", incident.pk)},
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
            for line in named[:NAMED]
        ],
        "more_bots": count - min(count, NAMED),
    }


def as_sent(message: dict[str, Any]) -> dict[str, Any]:
    """The message as it may be sent now: a job that its bot has given back meanwhile has no link to Release any more.

    It may have waited for a while, or for the second try. All else is told as it was.
    """
    jobs = Jobs(bot["job"] for bot in message["bots"])
    bots = [
        bot
        | {
            "job_url": _on_site(jobs.page(bot["job"])),
            # Rows that an earlier version wrote do not know the bot's id.
            "release_url": _on_site(jobs.release(bot["job"], bot.get("bot_id"))),
        }
        for bot in message["bots"]
    ]
    return message | {"bots": bots}


def test(now: datetime, by: str) -> dict[str, Any]:
    """A message that says it is a test, in the shape of all others. `by`: who sends it."""
    incident = Incident(
        pk=0,
        cause=Cause.STUCK,
        severity=Severity.WARNING,
        title="This is a test of this channel",
        reason=f"Nothing has happened. {by} pressed “Send a test”; what is told of incidents will come here.",
        opened_at=now,
    )
    told = _told(incident) | {"url": _url("admin:index")}
    return {"moment": Moment.OPENED, "test": True, "at": _iso(now), "incident": told, "bots": [], "more_bots": 0}


def _told(incident: Incident) -> dict[str, Any]:
    fields = ("state", "cause", "about", "kind", "severity", "title", "reason", "acknowledged_by")
    times = ("opened_at", "acknowledged_at", "resolved_at")
    told: dict[str, Any] = {"id": incident.pk} | {name: getattr(incident, name) for name in fields}
    return told | {name: _iso(getattr(incident, name)) for name in times}


# --- For people --------------------------------------------------------------------------------------------------


def subject(message: dict[str, Any], moment: Moment) -> str:
    """One line: `OPENED, critical: 3 bots are stuck`."""
    incident = message["incident"]
    word = "TEST" if message["test"] else WORDS[moment]
    severity = "" if moment == Moment.RESOLVED or message["test"] else f", {incident['severity']}"
    line = " ".join(f"{word}{severity}: {incident['title']}".split())
    return line if len(line) <= SUBJECT else line[: SUBJECT - 1] + "…"


def text(message: dict[str, Any], moment: Moment, id: str) -> str:
    """Plain text, fine in mail and in a chat. `id` is the message's own name."""
    incident = message["incident"]
    paragraphs = [
        _when(message, moment),
        incident["reason"].strip(),
        _bots(message, moment),
        _acknowledged(incident, moment),
        _links(incident, message["test"]),
        f"Message {id}. If you get it twice, it is the same one.",
    ]
    return "\n\n".join(filter(None, paragraphs))


def _when(message: dict[str, Any], moment: Moment) -> str:
    incident = message["incident"]
    opened = datetime.fromisoformat(incident["opened_at"])
    told = datetime.fromisoformat(incident["resolved_at"] or message["at"])
    lasted = words(max(told - opened, timedelta(0)))
    if moment == Moment.RESOLVED:
        return f"It is over since {exact(told)}, and had lasted {lasted}."
    if moment == Moment.OPENED:
        return f"Since {exact(opened)}."
    return f"Since {exact(opened)}, so for {lasted} now."


def _bots(message: dict[str, Any], moment: Moment) -> str:
    lines = []
    for bot in message["bots"]:
        job = f", job {bot['job']}" if bot["job"] else ""
        why = f": {' '.join(bot['reason'].split())}" if bot["reason"] else ""
        lines.append(f"- {bot['name']}{job}{why}")
        # When it is over the bot is well, and may be at work on it still.
        if bot["release_url"] and moment != Moment.RESOLVED:
            lines.append(f"  Release it: {bot['release_url']}")
        elif bot.get("job_url"):
            lines.append(f"  The job: {bot['job_url']}")
        if bot["url"]:
            lines.append(f"  The bot: {bot['url']}")
    if message["more_bots"]:
        lines.append(f"- and {message['more_bots']} more")
    return "\n".join(lines)


def _acknowledged(incident: dict[str, Any], moment: Moment) -> str:
    if not incident["acknowledged_by"] or moment == Moment.RESOLVED:
        return ""
    return f"{incident['acknowledged_by']} has acknowledged it."


def _links(incident: dict[str, Any], test: bool) -> str:
    what = "Jobsite" if test else f"Incident {incident['id']}"
    if incident["url"].startswith("http"):
        return f"{what}: {incident['url']}"
    # Without SITE_URL nobody knows under which name people reach this site; a path is what we have.
    return f"{what}. The links are paths on your Jobsite: its setting SITE_URL is empty." if incident["url"] else ""


def _url(view: str, *args: Any) -> str:
    return _on_site(reverse(view, args=args))


def _on_site(path: str) -> str:
    """Where this path is in the console: still a path without SITE_URL, and empty where there is no such page."""
    return path and f"{settings.SITE_URL}{path}"


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")
