"""Every call of the API: who may make it, a body that is good, and what it answers then."""

import json
import re
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client

from alerts.models import Incident, IncidentNote
from bots.instances import Instance
from bots.models import ApiKey, AuditEntry, Bot
from jobs.models import ErrorGroup, Job, JobEvent, JobKind, Schedule, ScheduleOccurrence
from jobsite.urls import api

PREFIX = "/api/v1"
#: Who passes a door by being a bot.
BOT = "bot"


@dataclass(frozen=True)
class Call:
    """One call. `needs` are a user's permissions, or none for a bot's call; `status` is the answer when all is good."""

    method: str
    path: str
    needs: tuple[str, ...]
    body: Any = None
    status: int = 200
    #: The job that the call is about: one that ada holds, that has failed, or that is pending.
    about: str = "held"
    #: What a bot sends, where a bot may make a call that people make, too.
    bot_body: Any = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def for_bots(self) -> bool:
        return not self.needs or self.bot_body is not None

    def body_of(self, who: str) -> Any:
        return self.bot_body if who == BOT and self.bot_body is not None else self.body


_REPORT = {"attempt": 1}
_SEEING = ("jobs.view_errorgroup", "jobs.view_payload")
CALLS = [
    Call("POST", "/claim", (), {}),
    Call("POST", "/exchange", (), {}),
    Call("POST", "/heartbeat", (), {}),
    Call("POST", "/hello", (), {"instance": "first"}),
    Call("POST", "/goodbye", (), {"instance": "first"}),
    Call("POST", "/jobs/{job_id}/start", (), _REPORT),
    Call("POST", "/jobs/{job_id}/heartbeat", (), _REPORT),
    Call("POST", "/jobs/{job_id}/complete", (), _REPORT),
    Call("POST", "/jobs/{job_id}/fail", (), _REPORT | {"error": "it broke"}),
    Call("POST", "/jobs/{job_id}/release", ("jobs.release_job",), {}, bot_body=_REPORT),
    Call("POST", "/jobs/{job_id}/cancel", ("jobs.cancel_job",), {}),
    Call("POST", "/jobs/{job_id}/retry", ("jobs.retry_job",), {}, about="failed"),
    Call("PATCH", "/jobs/{job_id}", ("jobs.edit_job",), {"run_at": "2036-11-05T09:00:00Z"}, about="pending"),
    Call("POST", "/jobs", ("jobs.add_job",), {"kind": "sum"}, 201),
    Call("POST", "/jobs/bulk", ("jobs.add_job",), {"jobs": [{"kind": "sum"}]}, 201),
    Call("POST", "/jobs/delete", ("jobs.delete_job",), {"filter": {"kind": "sum", "status": "pending"}}),
    Call("POST", "/throttle", ("jobs.pause_jobkind",), {"kind": "sum", "for": 1}, bot_body={"kind": "sum", "for": 1}),
    Call("GET", "/jobs", ("jobs.view_job",)),
    Call("GET", "/jobs/{job_id}", ("jobs.view_job",)),
    Call("GET", "/jobs/{job_id}/events", ("jobs.view_job",)),
    Call("GET", "/jobs/{job_id}/explain", ("jobs.view_job",)),
    Call("GET", "/error-groups", _SEEING),
    Call("GET", "/error-groups/{group_id}", _SEEING),
    Call("POST", "/error-groups/{group_id}/resolve", (*_SEEING, "jobs.resolve_errorgroup"), {}),
    Call("POST", "/error-groups/{group_id}/ignore", (*_SEEING, "jobs.resolve_errorgroup"), {}),
    Call("POST", "/error-groups/{group_id}/retry", (*_SEEING, "jobs.retry_job"), {}),
    Call("GET", "/bots", ("bots.view_bot",)),
    Call("GET", "/bots/{bot_id}", ("bots.view_bot",)),
    Call("GET", "/audit", ("bots.view_auditentry",)),
    Call("POST", "/audit/{entry_id}/take_back", ("jobs.take_back_job",), {}),
    Call("GET", "/stuck", ("jobs.view_job", "bots.view_bot")),
    Call("GET", "/scale", ("jobs.view_job",)),
    Call("GET", "/incidents", ("alerts.view_incident",)),
    Call("GET", "/incidents/{incident_id}", ("alerts.view_incident",)),
    Call("POST", "/incidents/{incident_id}/acknowledge", ("alerts.acknowledge_incident",), {}),
    Call("GET", "/schedules", ("jobs.view_schedule",)),
    Call("GET", "/schedules/{name}", ("jobs.view_schedule",)),
    Call("GET", "/schedules/{name}/occurrences", ("jobs.view_schedule",)),
    Call("PUT", "/schedules/{name}", ("jobs.add_schedule", "jobs.change_schedule"), {"kind": "sum", "every": 90}),
    Call("DELETE", "/schedules/{name}", ("jobs.delete_schedule",)),
    Call("POST", "/schedules/preview", ("jobs.change_schedule",), {"every": 90}),
    Call("POST", "/schedules/{name}/run", ("jobs.run_schedule",), {}),
    Call("POST", "/schedules/{name}/pause", ("jobs.pause_schedule",), {}),
    Call("POST", "/schedules/{name}/resume", ("jobs.pause_schedule",), {}),
    Call("POST", "/schedules/{name}/skip", ("jobs.pause_schedule",), {}),
    Call("POST", "/bots", ("bots.add_bot",), {"name": "carl"}, 201),
    Call("POST", "/bots/{bot_id}/expect", ("bots.change_bot",), {"expected": False}),
    Call("POST", "/bots/{bot_id}/pause", ("bots.pause_bot",), {}),
    Call("POST", "/bots/{bot_id}/resume", ("bots.pause_bot",), {}),
    Call("POST", "/bots/{bot_id}/restart", ("bots.restart_bot",), {}),
]
BY_NAME = {str(call): call for call in CALLS}

_OF_JOBS = (Job, JobEvent, JobKind, Schedule, ScheduleOccurrence, ErrorGroup)
_TABLES = [m._meta.db_table for m in (*_OF_JOBS, Bot, Instance, ApiKey, Incident, IncidentNote, AuditEntry)]
_SEEN = "'{last_seen_at,last_used_at,last_used_from}'::text[]"
#: One statement: in as many as there are tables it would take longer than the calls.
_ROWS = (
    " UNION ALL ".join(f"SELECT '{t}', (to_jsonb(t) - {_SEEN})::text FROM {t} AS t" for t in _TABLES) + " ORDER BY 1, 2"
)


def send(client: Client, token: str | None, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
    """One request. `body` is bytes as they are, or anything that JSON can say."""
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return client.generic(method, PREFIX + path, data, content_type="application/json", headers=headers)


def refused(answer: HttpResponse, status: int, code: str) -> dict[str, Any]:
    """The problem this answer tells of, which is that one."""
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json"), answer.content[:500]
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (status, code), problem
    if (shown := documented(answer.wsgi_request)) is not None:
        assert code in shown, f"{answer.wsgi_request.path}: declare it with @refuses(…)"
    assert {"type", "title", "detail"} <= set(problem) and problem["title"] and problem["detail"]
    if status in (400, 422):
        assert problem["errors"] and all(error["field"] and error["message"] for error in problem["errors"]), problem
    return problem


def documented(request: HttpRequest) -> set[str] | None:
    """The codes of all errors that the document names for this call; None where it is none of the document's."""
    document, method = api.get_openapi_schema(), str(request.method).lower()
    paths = document["paths"]
    templates = [p for p in paths if re.fullmatch(re.sub(r"{\w+}", "[^/]+", p), request.path)]
    methods = paths.get(request.path) or (paths[templates[0]] if templates else {})
    if method not in methods:
        return None
    names = [answer["$ref"].rpartition("/")[2] for answer in methods[method]["responses"].values() if "$ref" in answer]
    contents = [document["components"]["responses"][name]["content"] for name in names]
    return {code for content in contents for code in content["application/problem+json"]["examples"]}


def rows() -> list[tuple[str, str]]:
    """All that a call might change, by table, but for the moments at which somebody was last seen."""
    with connection.cursor() as cursor:
        cursor.execute(_ROWS)
        return list(cursor.fetchall())
