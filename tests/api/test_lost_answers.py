"""A connection to the database that is lost: the answer says what is known, and nothing is lost or done twice.

A real server, a real PostgreSQL, and a proxy between them that cuts a connection before or after its COMMIT is
carried out.
"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from bots.models import AuditEntry, Bot
from jobs.models import Job, JobKind
from jobs.states import JobStatus
from tests.cast import enqueue_one, take_one
from tests.far_side import an_incident
from tests.proxy import Proxy, proxied
from tests.served import served

pytestmark = pytest.mark.django_db(transaction=True)

COMMIT = b"COMMIT\0"


@pytest.fixture(scope="module")
def proxy(django_db_setup: None, django_db_blocker: Any) -> Iterator[Proxy]:
    with django_db_blocker.unblock(), proxied() as proxy:
        yield proxy


@pytest.fixture(scope="module")
def address(proxy: Proxy, django_db_blocker: Any) -> Iterator[str]:
    """A server whose connections to the database go through the proxy."""
    with django_db_blocker.unblock(), served(DATABASE_URL=proxy.url()) as server:
        yield f"http://127.0.0.1:{server.port}/api/v1"


@pytest.fixture
def ada_calls(address: str, ada_token: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {ada_token}"}, timeout=30) as calls:
        yield calls


@pytest.fixture
def olga_calls(address: str, olga_key: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {olga_key}"}, timeout=30) as calls:
        yield calls


def not_known(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (503, "outcome_unknown"), answer.text
    assert "not known" in answer.json()["detail"]
    assert "Nothing was changed" not in answer.text
    assert answer.headers["Retry-After"] == "1"


def nothing_changed(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), answer.text
    assert "Nothing was changed" in answer.json()["detail"]


# --- Producers ------------------------------------------------------------------------------------------------


def test_a_new_job_whose_commit_was_not_answered_is_not_known_and_its_key_finds_it(
    proxy: Proxy, olga_calls: httpx.Client
) -> None:
    cut = proxy.cut(COMMIT, after=b"INSERT INTO jobs_job ")
    not_known(olga_calls.post("/jobs", json={"kind": "sum", "key": "one"}))
    cut.wait()
    job = Job.objects.get()
    again = olga_calls.post("/jobs", json={"kind": "sum", "key": "one"})
    assert (again.status_code, again.json()["id"]) == (200, job.pk)
    assert Job.objects.count() == 1


def test_whether_a_new_job_is_there_is_not_known_when_its_one_statement_has_no_answer(
    proxy: Proxy, olga_calls: httpx.Client
) -> None:
    JobKind.objects.create(name="sum")
    cut = proxy.cut(b"INSERT INTO jobs_job ", done=False)
    not_known(olga_calls.post("/jobs", json={"kind": "sum"}))
    cut.wait()
    assert not Job.objects.exists()


def test_the_notification_of_a_new_job_may_be_lost_and_the_job_is_answered(
    proxy: Proxy, olga_calls: httpx.Client
) -> None:
    cut = proxy.cut(b"SELECT pg_notify", done=False)
    answer = olga_calls.post("/jobs", json={"kind": "sum"})
    cut.wait()
    assert (answer.status_code, answer.json()["id"]) == (201, Job.objects.get().pk)


@pytest.mark.parametrize("ndjson", [False, True])
def test_a_list_of_jobs_says_what_is_known_of_it(proxy: Proxy, olga_calls: httpx.Client, ndjson: bool) -> None:
    def send() -> httpx.Response:
        if not ndjson:
            return olga_calls.post("/jobs/bulk", json={"jobs": [{"kind": "sum", "key": str(n)} for n in range(300)]})
        lines = "".join(f'{{"kind":"sum","key":"{n}"}}\n' for n in range(300))
        return olga_calls.post("/jobs/bulk", content=lines, headers={"Content-Type": "application/x-ndjson"})

    proxy.cut(b"COPY pg_temp.incoming", done=False)
    nothing_changed(send())
    assert not Job.objects.exists()
    proxy.cut(COMMIT, after=b"COPY pg_temp.incoming")
    not_known(send())
    assert Job.objects.count() == 300
    again = send()
    assert (again.status_code, again.json()["created"], again.json()["existing"]) == (201, 0, 300)


# --- Operators ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["release", "cancel"])
def test_what_an_operator_did_without_an_answer_is_not_known(
    proxy: Proxy, olga_calls: httpx.Client, ada: Bot, verb: str
) -> None:
    lease = take_one(ada)
    proxy.cut(COMMIT, after=b"it hangs")
    not_known(olga_calls.post(f"/jobs/{lease.id}/{verb}", json={"reason": "it hangs"}))
    assert lease.job.claimed_by is None
    # The second is refused with what the job is now: so it was done.
    assert olga_calls.post(f"/jobs/{lease.id}/{verb}", json={}).status_code == 400


#: Calls of operators by path, with a body that has the words by which the proxy knows their transaction.
ACTS = {
    "/bots": {"name": "it-hangs"},
    "/bots/{bot}/pause": {"reason": "it-hangs"},
    "/bots/{bot}/resume": {"reason": "it-hangs"},
    "/bots/{bot}/restart": {"reason": "it-hangs"},
    "/bots/{bot}/expect": {"reason": "it-hangs", "expected": False},
    "/jobs/{failed}/retry": {"reason": "it-hangs"},
    "/incidents/{incident}/acknowledge": {"remark": "it-hangs"},
}


@pytest.mark.parametrize("path", ACTS)
def test_every_other_act_of_an_operator_is_not_known_or_was_not_done(
    proxy: Proxy, olga_calls: httpx.Client, ada: Bot, path: str
) -> None:
    lease = take_one(ada)
    lease.fail(retry=False)
    take_one(ada)
    Bot.objects.update(paused=path.endswith("/resume"))
    url = path.format(bot=ada.pk, failed=lease.id, incident=an_incident("ada").pk)
    before = AuditEntry.objects.count()
    proxy.cut(b"it-hangs", done=False)
    nothing_changed(olga_calls.post(url, json=ACTS[path]))
    assert AuditEntry.objects.count() == before
    cut = proxy.cut(COMMIT, after=b"it-hangs")
    not_known(olga_calls.post(url, json=ACTS[path]))
    cut.wait()
    assert AuditEntry.objects.count() > before


def test_a_read_promises_nothing(proxy: Proxy, olga_calls: httpx.Client) -> None:
    job = enqueue_one()
    proxy.cut(f'"jobs_job"."id" = {job.pk}'.encode(), done=False)
    answer = olga_calls.get(f"/jobs/{job.pk}")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "changed" not in answer.text


# --- Bots -----------------------------------------------------------------------------------------------------


def test_a_result_whose_answer_was_lost_is_taken_again(proxy: Proxy, ada_calls: httpx.Client, ada: Bot) -> None:
    lease = take_one(ada)
    proxy.cut(b'"complete":[')
    body = {"attempt": lease.attempt, "result": 3}
    not_known(ada_calls.post(f"/jobs/{lease.id}/complete", json=body))
    assert lease.job.status == JobStatus.SUCCEEDED
    assert ada_calls.post(f"/jobs/{lease.id}/complete", json=body).status_code == 200


def test_a_claim_whose_answer_was_lost_is_given_back_by_hello_and_not_counted(
    proxy: Proxy, ada_calls: httpx.Client, ada: Bot
) -> None:
    ada_calls.headers["Bot-Instance"] = "first"
    ada_calls.post("/hello", json={"instance": "first"})
    held = enqueue_one()
    assert [job["id"] for job in ada_calls.post("/claim", json={}).json()["jobs"]] == [held.pk]
    lost = enqueue_one(max_attempts=1)
    cut = proxy.cut(b'"limit":1')
    not_known(ada_calls.post("/claim", json={}))
    cut.wait()
    assert Job.objects.get(pk=lost.pk).claimed_by == ada
    hello = ada_calls.post("/hello", json={"instance": "second", "holds": [[held.pk, 1]]})
    assert hello.json()["released"] == [lost.pk]
    ada_calls.headers["Bot-Instance"] = "second"
    (job,) = ada_calls.post("/claim", json={}).json()["jobs"]
    assert (job["id"], job["attempt"]) == (lost.pk, 2)
    # It was its only attempt, and is done at the second lease: the first did not count.
    assert ada_calls.post(f"/jobs/{lost.pk}/complete", json={"attempt": 2}).status_code == 200
    assert ada_calls.post(f"/jobs/{held.pk}/complete", json={"attempt": 1}).status_code == 200


def test_an_exchange_whose_answer_was_lost_took_its_reports_and_its_claim(
    proxy: Proxy, ada_calls: httpx.Client, ada: Bot
) -> None:
    lease = take_one(ada)
    other = enqueue_one()
    turn = {"completed": [{"id": lease.id, "attempt": 1}], "claim": {"limit": 1}}
    proxy.cut(b'"complete":[')
    not_known(ada_calls.post("/exchange", json=turn))
    assert (lease.job.status, Job.objects.get(pk=other.pk).claimed_by) == (JobStatus.SUCCEEDED, ada)
    repeated = ada_calls.post("/exchange", json={"completed": turn["completed"]})
    assert repeated.json()["accepted"] == [lease.id]
    assert ada_calls.post("/hello", json={"instance": "next", "holds": []}).json()["released"] == [other.pk]


def test_a_hello_that_was_cut_in_the_middle_is_repeated(proxy: Proxy, ada_calls: httpx.Client, ada: Bot) -> None:
    lease = take_one(ada)
    cut = proxy.cut(b"jsonb_to_recordset", done=False)
    answer = ada_calls.post("/hello", json={"instance": "first"})
    cut.wait()
    assert (answer.status_code, answer.json()["code"]) == (503, "outcome_unknown")
    assert "Call hello again" in answer.json()["detail"]
    assert ([i.name for i in ada.instances.exclude(name="")], lease.job.claimed_by) == (["first"], ada)
    assert ada_calls.post("/hello", json={"instance": "first"}).json()["released"] == [lease.id]
