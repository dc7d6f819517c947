"""The story this system began with, over HTTP and a real server: a job is stuck, released, and done by another bot."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from bots.models import Bot
from jobs.models import Job, JobEvent
from jobs.states import Verb
from jobs.sweep import run
from jobsite.lib.clock import moment
from tests.cast import make_older

pytestmark = pytest.mark.django_db(transaction=True)

Api = Callable[..., httpx.Response]


@pytest.fixture
def api(live_server: Any) -> Api:
    """`api(token, path, body)`: a POST; `api(token, path)`: a GET."""

    def call(token: str, path: str, body: Any = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        method = "GET" if body is None else "POST"
        return httpx.request(method, f"{live_server.url}/api/v1{path}", headers=headers, json=body, timeout=30)

    return call


def test_a_stuck_job_is_released_and_another_bot_does_it(
    api: Api, ada: Bot, ada_token: str, bob: Bot, bob_token: str, olga_key: str
) -> None:
    made = api(olga_key, "/jobs", {"kind": "sum", "payload": {"numbers": [1, 2]}}).json()
    (lease,) = api(ada_token, "/claim", {}).json()["jobs"]
    assert (lease["id"], lease["attempt"], lease["payload"]) == (made["id"], 1, {"numbers": [1, 2]})
    job = f"/jobs/{lease['id']}"
    assert api(olga_key, job).json()["status"] == "processing"
    assert api(olga_key, f"/bots/{ada.pk}").json()["status"] == "busy"

    # ada hangs: past the limit, and not yet so far that the sweep itself takes the job from her.
    make_older(Job.objects.get(), 3)
    assert run.sweep().potentially_stuck == 1
    sick = api(olga_key, f"/bots/{ada.pk}").json()
    assert (sick["health_status"], sick["stuck_job"]) == ("potentially_stuck", lease["id"])
    assert sick["health_reason"].startswith("silent for 3 m") and "limit 2 m" in sick["health_reason"]
    assert api(olga_key, job).json()["status"] == "processing"

    released = api(olga_key, f"{job}/release", {"reason": "ada hangs"})
    assert released.status_code == 200
    said = released.json()
    message = said.pop("message")
    assert said == {
        "status": "released", "job_id": lease["id"], "bot_id": ada.pk, "previous_status": "processing",
    }  # fmt: skip
    assert all(word in message for word in (str(lease["id"]), "processing", "pending", "ada"))
    assert (api(olga_key, job).json()["status"], api(olga_key, job).json()["claimed_by"]) == ("pending", None)
    well = api(olga_key, f"/bots/{ada.pk}").json()
    fields = ("status", "health_status", "health_reason", "stuck_job")
    assert [well[name] for name in fields] == ["idle", "normal", "", None]

    twice = api(olga_key, f"{job}/release", {})
    assert (twice.status_code, twice.json()["code"]) == (400, "not_releasable")
    assert "is pending" in twice.json()["detail"]

    (again,) = api(bob_token, "/claim", {}).json()["jobs"]
    assert (again["id"], again["attempt"]) == (lease["id"], 2)
    late = api(ada_token, f"{job}/complete", {"attempt": 1, "result": {"sum": 4}})
    assert (late.status_code, late.headers["content-type"]) == (409, "application/problem+json")
    problem = late.json()
    event = JobEvent.objects.get(verb=Verb.RELEASE)
    assert (problem["code"], problem["ended_by"], problem["reason"]) == ("lease_lost", "operator olga", "ada hangs")
    assert problem["ended_at"] == moment(event.at)
    assert api(olga_key, job).json()["bot"] == "bob"

    assert api(bob_token, f"{job}/complete", {"attempt": 2, "result": {"sum": 3}}).status_code == 200
    done = api(olga_key, job).json()
    assert (done["status"], done["result"], done["claimed_by"]) == ("succeeded", {"sum": 3}, None)

    events = api(olga_key, f"{job}/events").json()["events"]
    assert [(e["verb"], e["attempt"], e["bot_id"], e["by"]) for e in events] == [
        ("release", 1, ada.pk, "olga"),
        ("late", 1, ada.pk, "ada"),
    ]
    assert events[1]["detail"] == {"outcome": "complete", "result": {"sum": 4}}

    after = api(olga_key, f"{job}/release", {})
    assert (after.status_code, after.json()["code"]) == (400, "not_releasable")
    assert "is succeeded" in after.json()["detail"]


def test_a_job_that_does_not_exist_cannot_be_released(api: Api, olga_key: str) -> None:
    refused = api(olga_key, "/jobs/999999999/release", {})
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    assert "999999999" in refused.json()["detail"]


def test_a_job_nobody_releases_goes_back_by_the_sweep_and_counts(api: Api, ada_token, bob_token, olga_key) -> None:
    api(olga_key, "/jobs", {"kind": "sum"})
    (lease,) = api(ada_token, "/claim", {}).json()["jobs"]
    make_older(Job.objects.get(), 7)
    assert run.sweep().expired == 1
    late = api(ada_token, f"/jobs/{lease['id']}/heartbeat", {"attempt": 1})
    assert (late.status_code, late.json()["ended_by"], late.json()["verb"]) == (409, "the sweep", "expire")
    (again,) = api(bob_token, "/claim", {}).json()["jobs"]
    assert (again["id"], again["attempt"]) == (lease["id"], 2)
