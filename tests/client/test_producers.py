"""The calls of producers and operators."""

from datetime import UTC, datetime

import pytest

from jobsite_client import LeaseLost

from .conftest import Patient
from .fake_server import Answer, FakeServer, lease_lost, refusal


def test_enqueue_sends_only_what_was_given(server: FakeServer, client: Patient) -> None:
    server.answers["jobs"] = [Answer({"id": 1}, 201)]
    when = datetime(2030, 1, 2, tzinfo=UTC)
    assert client.enqueue("sum", {"numbers": [2**80]}, run_at=when, key="k") == {"id": 1}
    expected = {"kind": "sum", "payload": {"numbers": [2**80]}, "run_at": "2030-01-02T00:00:00+00:00", "key": "k"}
    assert server.of("jobs")[0].body == expected


def test_a_time_without_a_zone_is_refused_before_it_is_sent(server: FakeServer, client: Patient) -> None:
    with pytest.raises(ValueError, match="time zone"):
        client.enqueue("sum", run_at=datetime(2030, 1, 2))
    with pytest.raises(ValueError, match="until needs a time zone"):
        client.pause_bot(1, until=datetime(2030, 1, 2))
    assert server.calls == []


def test_many_jobs_go_in_batches_and_are_added_up(server: FakeServer, client: Patient) -> None:
    server.answers["jobs/bulk"] = [
        Answer({"created": 9_998, "existing": 1, "replaced": 1, "ids": [1, 2], "outcomes": ["created"]}, 201),
        Answer({"created": 1, "existing": 0, "replaced": 0, "ids": [3], "outcomes": ["created"]}, 201),
    ]
    total = client.enqueue_bulk({"kind": "sum", "key": str(number)} for number in range(10_001))
    assert total == {
        "created": 9_999, "existing": 1, "replaced": 1, "ids": [1, 2, 3], "outcomes": ["created", "created"],
    }  # fmt: skip
    assert [len(call.body["jobs"]) for call in server.of("jobs/bulk")] == [10_000, 1]


def test_filters_go_into_the_address(server: FakeServer, client: Patient) -> None:
    server.answers["jobs?status=failed&kind=a%26b"] = [Answer({"jobs": [], "next_cursor": None})]
    assert list(client.jobs(status="failed", kind="a&b")) == []
    assert [call.path for call in server.calls] == ["jobs?status=failed&kind=a%26b"]


def test_an_operators_order_is_not_repeated_once_it_may_be_done(server: FakeServer, client: Patient) -> None:
    server.answers["jobs/7/release"] = [Answer(status=502), Answer()]
    with pytest.raises(Exception, match="502"):
        client.release_job(7, "it hangs")
    assert [call.body for call in server.of("jobs/7/release")] == [{"reason": "it hangs"}]


def test_registering_a_bot_gives_its_token(server: FakeServer, client: Patient) -> None:
    server.answers["bots"] = [Answer({"id": 1, "name": "alice", "token": "secret"}, 201)]
    assert client.register_bot("alice", kinds=["sum"])["token"] == "secret"
    assert server.of("bots")[0].body == {"name": "alice", "kinds": ["sum"]}


def test_a_lost_lease_says_who_when_why_and_whether_it_was_cancelled(server: FakeServer, client: Patient) -> None:
    server.answers["jobs/1/heartbeat"] = [lease_lost(cancel=True)]
    with pytest.raises(LeaseLost) as caught:
        client.heartbeat(1, 1)
    lost = caught.value
    assert (lost.ended_by, lost.reason, lost.cancel) == ("operator alice", "it was stuck", True)
    assert lost.ended_at == datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_lost_lease_of_which_nothing_is_known_is_explained_by_its_detail(server: FakeServer, client: Patient) -> None:
    server.answers["jobs/1/heartbeat"] = [refusal(409, "lease_lost", "This lease has ended.")]
    with pytest.raises(LeaseLost) as caught:
        client.heartbeat(1, 1)
    assert caught.value.explain() == "This lease has ended."
    assert caught.value.ended_at is None
