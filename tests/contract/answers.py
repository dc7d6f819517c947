"""The answers that the OpenAPI document shows: each call is made with the example of its body, and recorded."""

import json
import re
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.test import Client

from bots import roster
from bots.models import AuditEntry
from jobs import lifecycle
from jobs.api import document
from jobs.lifecycle import By
from jobs.models import Job
from jobs.schedules import changes
from jobs.schedules.definition import ScheduleIn
from jobsite.urls import api
from tests.alerts.passing import an_incident
from tests.api.calls import BOT, CALLS, PREFIX, Call, send
from tests.cast import bot_named, enqueue_one, make_older, person_named, take_one
from tests.jobs.error_groups.groups import an_error_group

#: A day near this one. An example that is to stay as it is names one far from it.
DAY = r"(?!203\d)\d{4}-\d\d-\d\d"
#: A moment of the schedule.
NIGHT = rf"{DAY}T0[12]:00:00Z"
#: What differs from one run to the next, and what the document has in its place.
CHANGING = {
    rf"{DAY}T\d\d:\d\d:\d\d\.\d+(Z|\+00:00)": r"2026-11-05T09:00:00.000000\1",
    rf"{DAY} \d\d:\d\d:\d\d UTC": "2026-11-05 09:00:00 UTC",
    r"\b(\d+) m ([0-2]?\d) s\b": r"\1 m",
    r"\bjsk_[\w-]+": "jsk_Ab3dE6",
    r"\bjsb_[\w-]+": "jsb_…",
    r'"request_id": "\w+"': '"request_id": "9f2c4e7a01b3d5f8"',
}
#: Where the document has them.
FILE = Path(document.__file__).with_name("answers.json")
#: The ids of the first rows of a table, where it is not 1.
FIRST = {"jobs_job_id_seq": 17, "alerts_incident_id_seq": 3, "bots_auditentry_id_seq": 41}
#: The job that a call is about, where it is not 17.
ABOUT = {"retryJob": 20, "listJobEvents": 19, "editJob": 21}


class Undone(Exception):
    """What was done for one call is taken out of the database."""


def recorded() -> dict[str, dict[str, list[Any]]]:
    """The answers of every call, by its name and by their status."""
    paths = api.get_openapi_schema()["paths"]
    answers: dict[str, dict[str, list[Any]]] = {}
    before = _sequences()
    try:
        tokens = world()
        sequences = _sequences()
        for call in CALLS:
            operation = paths[f"{PREFIX}{call.path}"][call.method.lower()]
            bodies = _bodies(operation)
            answers[operation["operationId"]] = _answers(call, operation["operationId"], bodies, tokens)
            _set_sequences(sequences)
    finally:
        # No transaction takes a sequence back, and later tests go on from here.
        _set_sequences(before)
    return answers


def _bodies(operation: dict[str, Any]) -> list[Any]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return [None]
    return [content["example"]] if "example" in content else [e["value"] for e in content["examples"].values()]


def _answers(call: Call, name: str, bodies: list[Any], tokens: dict[str, str]) -> dict[str, list[Any]]:
    """What each body is answered. A call that has several successes is made twice."""
    found: dict[str, list[Any]] = {}
    for body in bodies:
        try:
            with transaction.atomic():
                by_bot = call.for_bots and (call.bot_body is None or "attempt" in (body or {}))
                entry = AuditEntry.objects.get(verb="prioritise").pk
                ids = {"bot_id": 1, "incident_id": 3, "group_id": 1, "entry_id": entry}
                path = call.path.format(job_id=ABOUT.get(name, 17), name="nightly", **ids)
                for _ in range(2):
                    answer = send(Client(), tokens[BOT if by_bot else "olga"], call.method, path, body)
                    status = str(answer.status_code)
                    if answer.status_code >= 300:
                        break
                    found.setdefault(status, [])
                    if not found[status] or len(bodies) > 1:
                        found[status].append(_settled(answer.content.decode()))
                    if call.method != "PUT" and name != "enqueueJob":
                        break
                assert answer.status_code < 300, (name, answer.content)
                raise Undone
        except Undone:
            pass
    return found


def _settled(text: str) -> Any:
    # As `json` writes it, whoever made it.
    text = json.dumps(json.loads(text), ensure_ascii=False)
    # What nearly is a minute is one.
    text = re.sub(r"\b(\d+) m [3-5]\d s\b", lambda found: f"{int(found[1]) + 1} m", text)
    for pattern, instead in CHANGING.items():
        text = re.sub(pattern, instead, text)
    # The next nights, in their order. The hour is that of winter.
    for number, moment in enumerate(sorted(set(re.findall(NIGHT, text)))):
        text = text.replace(moment, f"2026-11-{6 + number:02}T02:00:00Z")
    return json.loads(text)


def world() -> dict[str, str]:
    """A bot holds jobs 17 to 19 and is stuck on the first, job 20 has failed, two are pending; a schedule, an incident,
    an error group.

    The bot's token and the operator's key.
    """
    _set_sequences([(name, FIRST.get(name, 1), False) for name, _, _ in _sequences()])
    ada, olga = bot_named("ada"), person_named("olga")
    key = roster.create_key(olga)[1]
    held, _, again = (take_one(ada) for _ in range(3))
    again.hand_back()
    Job.objects.filter(pk=again.id).update(priority=2_000_000)
    assert [(job.id, job.attempt) for job in lifecycle.claim(ada)] == [(19, 2)]
    take_one(ada).fail(retry=False)
    enqueue_one(), enqueue_one()
    make_older(held, 3)
    an_incident()
    an_error_group()
    changes.put("nightly", ScheduleIn(kind="report", cron="0 3 * * *", time_zone="Europe/Berlin").to_values())
    send(Client(), key, "POST", "/schedules/nightly/skip", {"reason": "a holiday"})
    send(Client(), key, "POST", "/bots/1/expect", {"expected": True, "reason": "it reports each day"})
    lifecycle.prioritise([22], priority=5, by=By.operator(olga), reason="the customer waits")
    return {BOT: str(ada.token), "olga": key}  # type: ignore[attr-defined]


def _sequences() -> list[tuple[str, int, bool]]:
    """Where each sequence is. Going back takes a row away, and no number."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sequencename, COALESCE(last_value, start_value), last_value IS NOT NULL FROM pg_sequences"
            " WHERE schemaname = current_schema()"
        )
        return [(name, last, called) for name, last, called in cursor.fetchall()]


def _set_sequences(values: list[tuple[str, int, bool]]) -> None:
    names, numbers, called = zip(*values, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT setval(name, number, called) FROM unnest(%s::regclass[], %s::bigint[], %s::boolean[])"
            " AS those(name, number, called)",
            [list(names), list(numbers), list(called)],
        )
