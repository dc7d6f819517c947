"""The calls about schedules."""

from datetime import UTC, datetime

import pytest

from .conftest import Patient
from .fake_server import Answer, FakeServer


def test_a_schedule_is_sent_as_it_was_given(server: FakeServer, client: Patient) -> None:
    server.answers["schedules/nightly"] = [Answer({"name": "nightly"}, 201)]
    when = datetime(2030, 1, 2, tzinfo=UTC)
    answer = client.put_schedule("nightly", "report", {"of": 1}, cron="0 3 * * *", starts_at=when)
    assert answer == {"name": "nightly"}
    expected = {"kind": "report", "payload": {"of": 1}, "cron": "0 3 * * *", "starts_at": "2030-01-02T00:00:00+00:00"}
    assert server.of("schedules/nightly")[0].body == expected


def test_each_call_goes_to_its_path(server: FakeServer, client: Patient) -> None:
    client.schedule("a:b")
    list(client.schedules(limit=5))
    client.delete_schedule("nightly")
    client.run_schedule("nightly", "we need it")
    client.pause_schedule("nightly", until=datetime(2030, 1, 2, tzinfo=UTC))
    client.resume_schedule("nightly")
    client.skip_schedule("nightly")
    list(client.occurrences("nightly", fate="missed"))
    client.preview_schedule(every=90)
    assert [call.path for call in server.calls] == [
        "schedules/a%3Ab", "schedules?limit=5", "schedules/nightly", "schedules/nightly/run",
        "schedules/nightly/pause", "schedules/nightly/resume", "schedules/nightly/skip",
        "schedules/nightly/occurrences?fate=missed", "schedules/preview",
    ]  # fmt: skip
    assert server.calls[4].body == {"until": "2030-01-02T00:00:00+00:00"}


def test_a_moment_without_a_zone_is_refused_before_it_is_sent(server: FakeServer, client: Patient) -> None:
    with pytest.raises(ValueError, match="ends_at needs a time zone"):
        client.put_schedule("nightly", "report", every=60, ends_at=datetime(2030, 1, 2))
    assert server.calls == []
