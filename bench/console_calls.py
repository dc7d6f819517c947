"""Open every page of the console and call every list of the API some times, and print what each took, as JSON.

For each: the seconds of each time, and the number of queries.

Runs as a program with Jobsite's settings, in one process without a web server: what is measured is the answer.
"""

import gc
import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

import django

#: The pages, by what they show. `{…}` is filled in with a row of the database.
PAGES = {
    "Home": "/admin/",
    "Home, a week": "/admin/?span=week",
    "all jobs": "/admin/jobs/job/",
    "all jobs, an older page": "/admin/jobs/job/?before={middle}",
    "all jobs, a newer page": "/admin/jobs/job/?after={middle}",
    "stuck jobs": "/admin/jobs/job/?view=stuck",
    "held jobs": "/admin/jobs/job/?view=held",
    "pending jobs": "/admin/jobs/job/?view=pending",
    "failed jobs": "/admin/jobs/job/?view=failed",
    "scheduled jobs": "/admin/jobs/job/?view=scheduled",
    "jobs that succeeded": "/admin/jobs/job/?status=succeeded",
    "cancelled jobs": "/admin/jobs/job/?status=cancelled",
    "jobs of a kind": "/admin/jobs/job/?kind={kind}",
    "failed jobs of a rare kind": "/admin/jobs/job/?status=failed&kind={rare}",
    "a job by its number": "/admin/jobs/job/?q={done}",
    "jobs by key": "/admin/jobs/job/?q=key:key-1700",
    "jobs by bot": "/admin/jobs/job/?q=bot:robot-00017",
    "jobs by payload": "/admin/jobs/job/?q=payload.customer%3D17",
    "failed jobs by error": "/admin/jobs/job/?view=failed&q=error:refused",
    "a held job": "/admin/jobs/job/{held}/change/",
    "a pending job": "/admin/jobs/job/{pending}/change/",
    "a job that succeeded": "/admin/jobs/job/{done}/change/",
    "a new job": "/admin/jobs/job/add/?kind={kind}",
    "incidents": "/admin/alerts/incident/",
    "bots": "/admin/bots/bot/",
    "unhealthy bots": "/admin/bots/bot/?health_status__exact=unhealthy",
    "a bot": "/admin/bots/bot/{bot}/change/",
    "kinds": "/admin/jobs/jobkind/",
    "a kind": "/admin/jobs/jobkind/{kind}/change/",
    "history": "/admin/jobs/jobevent/",
    "history of expiries": "/admin/jobs/jobevent/?verb=expire",
    "history by a person, of a week": "/admin/jobs/jobevent/?person=olga&verb=release&from=2020-01-01",
    "history by words and kind": "/admin/jobs/jobevent/?words=silent&kind={kind}",
    "error groups": "/admin/jobs/errorgroup/",
    "schedules": "/admin/jobs/schedule/",
    "channels": "/admin/alerts/channel/",
    "deliveries": "/admin/alerts/delivery/",
    "API keys": "/admin/bots/apikey/",
    "users": "/admin/auth/user/",
    "your login": "/admin/your-login/",
    "jobs by a word": "/admin/jobs/job/?q=cust-17",
    "failed jobs sorted by error": "/admin/jobs/job/?view=failed&order=-error",
    "cancel a pending job": "/admin/jobs/job/{pending}/cancel/",
    "edit a pending job": "/admin/jobs/job/{pending}/edit/",
    "release patterns": "/admin/jobs/jobevent/patterns/",
    "release patterns, 24 hours": "/admin/jobs/jobevent/patterns/?range=24h",
    "release patterns, 90 days": "/admin/jobs/jobevent/patterns/?range=90d",
    "release patterns of a kind": "/admin/jobs/jobevent/patterns/?kind={kind}&counted=all",
    "release patterns of a bot": "/admin/jobs/jobevent/patterns/?bot=robot-00017",
    "audit log": "/admin/bots/auditentry/",
}
CALLS = {
    "GET /jobs": "/jobs",
    "GET /jobs?status=failed": "/jobs?status=failed",
    "GET /jobs?status=succeeded": "/jobs?status=succeeded",
    "GET /jobs?status=cancelled&limit=1000": "/jobs?status=cancelled&limit=1000",
    "GET /jobs?status=processing": "/jobs?status=processing",
    "GET /jobs?kind": "/jobs?kind={kind}",
    "GET /jobs?kind&status=failed": "/jobs?kind={rare}&status=failed",
    "GET /jobs?bot": "/jobs?bot=robot-00017",
    "GET /jobs/{id}": "/jobs/{done}",
    "GET /jobs/{id}/events": "/jobs/{done}/events",
    "GET /jobs/{id}/explain": "/jobs/{pending}/explain",
    "GET /bots": "/bots",
    "GET /bots?health=unhealthy": "/bots?health=unhealthy",
    "GET /bots?status=down&limit=1000": "/bots?status=down&limit=1000",
    "GET /stuck": "/stuck",
    "GET /incidents": "/incidents",
    "GET /audit": "/audit",
}


def main(rounds: int) -> None:
    django.setup()
    logging.disable(logging.CRITICAL)
    from django.contrib.auth.models import User
    from django.test import Client
    from django.test.utils import override_settings

    from bots import roster
    from jobs.lists import job_list
    from jobs.lists.job_list import JobFilter

    # As the web server does when it has started.
    gc.collect()
    gc.freeze()
    user = User.objects.get(username="producer")
    client, key, values = Client(), roster.create_key(user)[1], _values()
    client.force_login(user)
    plain = {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
    results: dict[str, dict[str, Any]] = {}
    with override_settings(ALLOWED_HOSTS=["*"], STORAGES=plain):
        for name, path in PAGES.items():
            url = path.format(**values)
            results[name] = _times(lambda url=url: _read(client, url), rounds)  # type: ignore[misc]
        for name, path in CALLS.items():
            url = "/api/v1" + path.format(**values)
            token = {"Authorization": f"Bearer {key}"}
            results[name] = _times(lambda url=url, token=token: _read(client, url, token), rounds)  # type: ignore[misc]
        failed = JobFilter(view="failed")
        step: Callable[[], Any] = lambda: job_list.in_statuses(failed, ["failed"], after=0, most=2000)  # noqa: E731
        results["a step of retrying all that failed"] = _times(step, rounds)
    print(json.dumps(results))


def _values() -> dict[str, Any]:
    from bots.models import Bot
    from jobs.models import Job

    def one(**condition: Any) -> int:
        return int(Job.objects.filter(**condition).values_list("pk", flat=True)[:1].get())

    newest = Job.objects.order_by("-pk").values_list("pk", flat=True)[:1].get()
    return {
        "kind": "kind-0000",
        "rare": "kind-0900",
        "middle": newest // 2,
        "done": one(pk__gte=newest // 3, status="succeeded"),
        "held": one(claimed_by__isnull=False),
        "pending": one(status="pending"),
        "bot": Bot.objects.exclude(health_status="normal").order_by("pk").values_list("pk", flat=True)[:1].get(),
    }


def _read(client: Any, url: str, headers: dict[str, str] | None = None) -> None:
    answer = client.get(url, headers=headers)
    if answer.status_code != 200:
        raise RuntimeError(f"{url}: {answer.status_code}")
    for _ in answer.streaming_content if answer.streaming else (answer.content,):
        pass


def _times(call: Callable[[], Any], rounds: int) -> dict[str, Any]:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    call()
    took = []
    for _ in range(rounds):
        began = time.monotonic()
        call()
        took.append(time.monotonic() - began)
    with CaptureQueriesContext(connection) as queries:
        call()
    return {"seconds": took, "queries": len(queries)}


if __name__ == "__main__":
    main(int(sys.argv[1]))
