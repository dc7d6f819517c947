"""The story this system began with, over HTTP against a real server."""

import httpx
import pytest
from django.core.management import call_command

from bots.models import Bot
from jobs.models import Job, JobEvent
from jobs.states import Verb

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def api(live_server):
    """`api(token, path, body)`: a POST; `api(token, path)`: a GET."""

    def call(token, path, body=None):
        method = "GET" if body is None else "POST"
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.request(method, f"{live_server.url}/api/v1{path}", headers=headers, json=body, timeout=30)

    return call


def test_a_stuck_job_is_released_and_done_by_another_bot(api, ada_token, bob_token, olga_key, age):
    made = api(olga_key, "/jobs", {"kind": "sum", "payload": {"numbers": [1, 2]}})
    assert made.status_code == 201
    (lease,) = api(ada_token, "/claim", {}).json()["jobs"]
    assert (lease["id"], lease["attempt"]) == (made.json()["id"], 1)

    age(Job.objects.get(), 3)
    call_command("sweep_stuck", json=True)
    stuck = api(olga_key, "/stuck").json()
    assert stuck["jobs"][0]["id"] == lease["id"]
    assert "silent for 3 m" in stuck["bots"][0]["health_reason"]

    released = api(olga_key, f"/jobs/{lease['id']}/release", {"reason": "ada hangs"})
    assert released.status_code == 200
    said = released.json()
    assert (said["status"], said["job_id"], said["previous_status"]) == ("released", lease["id"], "processing")
    assert "ada" in said["message"]
    ada = Bot.objects.get(name="ada")
    assert said["bot_id"] == ada.pk
    assert (ada.status, ada.health_status, ada.health_reason, ada.stuck_job_id) == ("idle", "normal", "", None)
    assert api(olga_key, f"/jobs/{lease['id']}").json()["status"] == "pending"

    (again,) = api(bob_token, "/claim", {}).json()["jobs"]
    assert (again["id"], again["attempt"]) == (lease["id"], 2)
    late = api(ada_token, f"/jobs/{lease['id']}/complete", {"attempt": 1, "result": 4})
    assert late.status_code == 409
    assert late.headers["content-type"] == "application/problem+json"
    problem = late.json()
    assert (problem["code"], problem["ended_by"], problem["reason"]) == ("lease_lost", "operator olga", "ada hangs")
    assert problem["ended_at"]
    assert JobEvent.objects.get(verb=Verb.LATE).detail["result"] == 4

    for _ in range(2):
        assert api(bob_token, f"/jobs/{lease['id']}/complete", {"attempt": 2, "result": 3}).status_code == 200
    job = api(olga_key, f"/jobs/{lease['id']}").json()
    assert (job["status"], job["result"]) == ("succeeded", 3)


def test_release_says_which_state_forbids_it(api, olga_key, a_job):
    job = a_job()
    refused = api(olga_key, f"/jobs/{job.pk}/release", {})
    assert refused.status_code == 400
    assert refused.json()["code"] == "not_releasable"
    assert "pending" in refused.json()["detail"]


def test_release_of_a_job_that_does_not_exist_is_not_found(api, olga_key):
    for number in ("999999", "99999999999999999999", "none"):
        assert api(olga_key, f"/jobs/{number}/release", {}).status_code == 404


def test_a_bot_that_restarts_under_its_name_gives_back_what_its_former_self_held(api, ada_token, olga_key, a_job):
    job = a_job()
    api(ada_token, "/hello", {"instance": "first"})
    api(ada_token, "/claim", {})
    said = api(ada_token, "/hello", {"instance": "second"}).json()
    assert said["released"] == [job.pk]
    assert api(olga_key, f"/jobs/{job.pk}").json()["status"] == "pending"


def test_the_former_self_of_a_bot_gets_no_more_jobs(live_server, api, ada_token, a_job):
    a_job()
    api(ada_token, "/hello", {"instance": "second"})
    headers = {"Authorization": f"Bearer {ada_token}", "Bot-Instance": "first"}
    refused = httpx.post(f"{live_server.url}/api/v1/claim", headers=headers, json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "instance_replaced")
    assert Job.objects.pending().count() == 1


def test_a_restarted_bot_is_told_once_it_calls(api, ada_token, olga_key, held_by, ada):
    lease = held_by(ada)
    said = api(olga_key, f"/bots/{ada.pk}/restart", {}).json()
    assert said["released"] == [lease.id]
    assert api(ada_token, "/heartbeat", {}).json()["restart"] is True
    api(ada_token, "/hello", {"instance": "new"})
    assert api(ada_token, "/heartbeat", {}).json()["restart"] is False


def test_pages_follow_each_other_without_gap_or_repeat(api, olga_key, a_job):
    made = {a_job().pk for _ in range(7)}
    seen, cursor = [], ""
    while cursor is not None:
        page = api(olga_key, f"/jobs?limit=3&cursor={cursor}").json()
        seen += [job["id"] for job in page["jobs"]]
        cursor = page["next_cursor"]
    assert seen == sorted(made, reverse=True)


def test_bulk_is_all_or_nothing_and_names_the_bad_one(api, olga_key):
    good = {"kind": "sum", "payload": {}, "key": "a"}
    refused = api(olga_key, "/jobs/bulk", {"jobs": [good, {"kind": "no spaces"}]})
    assert refused.status_code == 422
    assert "jobs[1].kind" in refused.json()["detail"]
    assert not Job.objects.exists()
    done = api(olga_key, "/jobs/bulk", {"jobs": [good, good]}).json()
    assert (done["created"], done["existing"]) == (1, 1)
    assert done["ids"][0] == done["ids"][1]


def test_a_bots_name_is_taken_once(api, olga_key):
    made = api(olga_key, "/bots", {"name": "carl"})
    assert made.status_code == 201
    assert api(made.json()["token"], "/claim", {}).status_code == 200
    assert api(olga_key, "/bots", {"name": "carl"}).json()["code"] == "name_taken"


def test_the_docs_load_nothing_from_another_host(live_server):
    page = httpx.get(f"{live_server.url}/api/v1/docs").text
    assert "http://" not in page.replace(live_server.url, "")
    assert "https://" not in page
