"""What the client repeats, when, and what it does not."""

import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from jobsite_client import Client, JobsiteError, Unauthorized, Unavailable
from jobsite_client.backoff import Backoff

from .conftest import Patient
from .fake_server import Answer, FakeServer, refusal


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_report_is_repeated_while_the_server_is_busy(server: FakeServer, client: Patient, status: int) -> None:
    server.answers["jobs/1/complete"] = [Answer(status=status), Answer(status=status)]
    assert client.complete(1, 1, {"value": 3})["status"] == "ok"
    bodies = [call.body for call in server.of("jobs/1/complete")]
    assert bodies == [{"attempt": 1, "result": {"value": 3}}] * 3
    assert len(client.waits) == 2


def test_a_report_whose_answer_was_lost_is_repeated(server: FakeServer, client: Patient) -> None:
    server.answers["jobs/1/fail"] = [Answer(drop=True)]
    client.fail(1, 1, "It broke.")
    assert len(server.of("jobs/1/fail")) == 2


def test_a_report_that_times_out_is_repeated(server: FakeServer) -> None:
    too_late = threading.Event()
    server.answers["jobs/1/complete"] = [Answer(after=too_late)]
    with Patient(server.url, "t", timeout=0.5) as client:
        assert client.complete(1, 1)["status"] == "ok"
    too_late.set()
    # On a busy machine the answer to the second may be late as well.
    assert len(server.of("jobs/1/complete")) >= 2


@pytest.mark.parametrize("status", [400, 404, 409, 422, 500])
def test_a_refusal_is_not_repeated(server: FakeServer, client: Patient, status: int) -> None:
    server.answers["jobs/1/complete"] = [refusal(status, "no_good", "The result is no good.")]
    with pytest.raises(JobsiteError, match="The result is no good.") as caught:
        client.complete(1, 1)
    assert (caught.value.status, caught.value.code) == (status, "no_good")
    assert len(server.of("jobs/1/complete")) == 1


def test_a_refused_token_is_not_repeated(server: FakeServer, client: Patient) -> None:
    server.answers["claim"] = [refusal(401, "unauthorized", "This token was revoked.")]
    with pytest.raises(Unauthorized, match="revoked"):
        client.claim()
    assert len(server.of("claim")) == 1


def test_a_claim_whose_answer_was_lost_is_not_repeated(server: FakeServer, client: Patient) -> None:
    server.answers["claim"] = [Answer(drop=True)]
    with pytest.raises(Unavailable) as caught:
        client.claim()
    assert caught.value.maybe_done
    assert len(server.of("claim")) == 1


def test_a_claim_the_server_did_not_act_on_is_repeated(server: FakeServer, client: Patient) -> None:
    server.add_job("sum")
    server.answers["claim"] = [Answer(status=503)]
    assert [job.kind for job in client.claim().jobs] == ["sum"]


def test_a_claim_of_which_the_server_does_not_know_is_not_repeated(server: FakeServer, client: Patient) -> None:
    server.answers["claim"] = [refusal(503, "outcome_unknown", "Whether this was carried out is not known.")]
    with pytest.raises(Unavailable, match="not known") as caught:
        client.claim()
    assert (caught.value.maybe_done, caught.value.code) == (True, "outcome_unknown")
    server.answers["jobs/1/complete"] = [refusal(503, "outcome_unknown")]
    client.complete(1, 1)
    assert len(server.of("jobs/1/complete")) == 2


def test_a_claim_is_repeated_while_nothing_listens(unused_port: int) -> None:
    server: list[FakeServer] = []

    class ServerComesUp(Patient):
        def _sleep(self, seconds: float) -> None:
            super()._sleep(seconds)
            if len(self.waits) == 2:
                server.append(FakeServer(unused_port))

    with ServerComesUp(f"http://127.0.0.1:{unused_port}", "t") as client:
        assert client.claim().jobs == []
    server[0].stop()
    assert len(client.waits) == 2


def test_enqueueing_is_repeated_only_with_a_key(server: FakeServer, client: Patient) -> None:
    server.answers["jobs"] = [Answer(drop=True), Answer({"id": 5}, 201)]
    assert client.enqueue("sum", {"numbers": [1]}, key="once")["id"] == 5
    server.answers["jobs"] = [Answer(drop=True)]
    with pytest.raises(Unavailable):
        client.enqueue("sum", {"numbers": [1]})
    assert [call.body.get("key") for call in server.of("jobs")] == ["once", "once", None]


def test_retry_after_in_seconds_is_waited_for(server: FakeServer, client: Patient) -> None:
    server.answers["jobs/1/complete"] = [Answer(status=429, headers={"Retry-After": "17"})]
    client.complete(1, 1)
    assert client.waits == [17.0]


def test_retry_after_as_a_date_is_waited_for(server: FakeServer, client: Patient) -> None:
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    server.answers["jobs/1/complete"] = [Answer(status=503, headers={"Retry-After": when})]
    client.complete(1, 1)
    assert 20 < client.waits[0] <= 40


def test_a_wait_longer_than_the_whole_call_may_take_is_not_begun(server: FakeServer, client: Patient) -> None:
    server.answers["jobs/1/complete"] = [Answer(status=503, headers={"Retry-After": "3600"})]
    with pytest.raises(Unavailable) as caught:
        client.complete(1, 1)
    assert caught.value.retry_after == 3600
    assert client.waits == []


def test_waits_double_up_to_a_limit_and_start_again_after_a_reset() -> None:
    backoff = Backoff(first=0.1, longest=0.5, chance=lambda: 1.0)
    assert [backoff.next() for _ in range(5)] == [0.1, 0.2, 0.4, 0.5, 0.5]
    backoff.reset()
    assert backoff.next() == 0.1


def test_jitter_takes_at_most_half_of_a_wait() -> None:
    assert Backoff(first=8, longest=8, chance=lambda: 0.0).next() == 4
    assert Backoff(first=8, longest=8, chance=lambda: 0.5).next() == 6


def test_many_threads_share_one_client(server: FakeServer, client: Patient) -> None:
    threads = [threading.Thread(target=client.complete, args=(number, 1)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {call.path for call in server.calls} == {f"jobs/{number}/complete" for number in range(20)}


@pytest.mark.parametrize("url", ["", "jobsite.example", "ftp://jobsite.example", "http://"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        Client(url, "t")


@pytest.mark.parametrize("token", ["", "  ", "two words", "naïve", "line\nbreak"])
def test_a_token_that_is_none_is_refused_at_once(token: str) -> None:
    with pytest.raises(ValueError, match="token"):
        Client("http://127.0.0.1", token)


def test_a_page_that_is_not_json_is_an_error_for_people(server: FakeServer, client: Patient) -> None:
    server.answers["claim"] = [Answer(b"<h1>Welcome</h1>")]
    with pytest.raises(JobsiteError, match="is this a Jobsite server"):
        client.claim()


def test_a_redirect_names_the_right_address(server: FakeServer, client: Patient) -> None:
    server.answers["claim"] = [Answer(status=301, headers={"Location": "https://jobsite.example/"})]
    with pytest.raises(JobsiteError, match="https://jobsite.example/"):
        client.claim()
