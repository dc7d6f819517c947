"""Leases are renewed while handlers work, and handlers hear when a lease is lost."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from jobsite_client import Bot, ClaimedJob, Client, Job
from jobsite_client.pulse import LATEST, ORDINARY, SOONEST, Pulse

from .conftest import Running, either_way
from .fake_server import DEADLINE, Answer, FakeServer, lease_lost

pytestmark = either_way
RunBot = Callable[..., Running]


def test_a_heartbeat_is_sent_while_a_job_runs(server: FakeServer, run_bot: RunBot) -> None:
    release = threading.Event()
    job = server.add_job("slow")
    run_bot({"slow": lambda job: release.wait(DEADLINE)})
    beats = server.wait_for(f"jobs/{job}/heartbeat", times=3)
    assert [beat.body for beat in beats[:3]] == [{"attempt": 1}] * 3
    assert not server.of(f"jobs/{job}/complete")
    release.set()
    server.wait_for(f"jobs/{job}/complete")


def test_the_bot_itself_sends_heartbeats_with_its_version(server: FakeServer, run_bot: RunBot) -> None:
    run_bot({"sum": lambda job: None}, version="2.1")
    slots = {"all": 1, "free": 1, "lost": 0}
    assert server.wait_for("heartbeat")[0].body == {"version": "2.1", "slots": slots}


def test_the_process_says_what_it_works_on_and_the_handler_hears_that_it_was_cancelled(
    server: FakeServer, run_bot: RunBot
) -> None:
    stopped, release = threading.Event(), threading.Event()
    why: list[str] = []

    def watches(job: Job) -> None:
        assert job.cancelled.wait(DEADLINE)
        why.append(job.cancelled_because)
        stopped.set()
        job.check()

    kept, job = server.add_job("slow"), server.add_job("watched")
    run_bot({"slow": lambda job: release.wait(DEADLINE), "watched": watches}, concurrency=2)
    both = [[kept, 1], [job, 1]]
    server.wait_for("heartbeat", where=lambda call: sorted((call.body or {}).get("holds", ())) == both)
    server.answers["heartbeat"] = [Answer({"lost": [[job, 1]], "cancel": [[job, 1]], "paused": False})]
    assert stopped.wait(DEADLINE)
    assert why == ["The lease was lost: an operator cancelled the job."]
    server.wait_for("heartbeat", where=lambda call: (call.body or {}).get("holds") == [[kept, 1]])
    assert not server.of(f"jobs/{job}/fail")
    release.set()


def test_progress_and_its_note_go_out_with_a_heartbeat(server: FakeServer, run_bot: RunBot) -> None:
    release = threading.Event()

    def half_way(job: Job) -> None:
        job.progress(50.9, "n" * 600)
        release.wait(DEADLINE)

    job = server.add_job("slow")
    run_bot({"slow": half_way})
    [beat] = server.wait_for(f"jobs/{job}/heartbeat", where=lambda call: "progress" in call.body)
    assert beat.body == {"attempt": 1, "progress": 50, "note": "n" * 500}
    release.set()


def test_progress_survives_a_heartbeat_that_did_not_arrive(server: FakeServer, run_bot: RunBot) -> None:
    release = threading.Event()

    def half_way(job: Job) -> None:
        job.progress(50)
        release.wait(DEADLINE)

    job = server.add_job("slow")
    heartbeat = f"jobs/{job}/heartbeat"
    # All of them, since on a busy machine some are sent before the handler has begun.
    server.answers[heartbeat], server.sticky = [Answer(status=503)], {heartbeat}
    run_bot({"slow": half_way})
    server.wait_for(heartbeat, times=2, where=lambda call: call.body.get("progress") == 50)
    server.sticky.clear()
    # What has arrived is not sent again.
    server.wait_until(lambda: server.of(heartbeat)[-1].body.get("progress") is None)
    release.set()


def test_progress_stays_between_0_and_100(server: FakeServer) -> None:
    job = Job(ClaimedJob(1, "sum", 1, None, 0, None, None, None, None))
    for given, kept in ((-5, 0), (0, 0), (99.9, 99), (250, 100)):
        job.progress(given)
        assert job.take_news() == (kept, None)


def test_a_handler_is_told_that_its_lease_was_lost(server: FakeServer, run_bot: RunBot) -> None:
    stopped = threading.Event()
    why: list[str] = []

    def watches(job: Job) -> None:
        assert job.cancelled.wait(DEADLINE)
        why.append(job.cancelled_because)
        stopped.set()
        job.check()

    job = server.add_job("slow")
    server.answers[f"jobs/{job}/heartbeat"] = [lease_lost()]
    running = run_bot({"slow": watches})
    assert stopped.wait(DEADLINE)
    assert why == ["The lease was lost: ended by operator alice at 03:04:05 UTC: it was stuck."]
    running.stop()
    reports = [call.path for call in server.calls if call.path.endswith(("/complete", "/fail", "/release"))]
    assert reports == []


def test_a_cancelled_jobs_handler_is_told_so(server: FakeServer, run_bot: RunBot) -> None:
    stopped = threading.Event()

    def watches(job: Job) -> None:
        assert job.cancelled.wait(DEADLINE)
        stopped.set()
        job.check()

    job = server.add_job("slow")
    server.answers[f"jobs/{job}/heartbeat"] = [lease_lost(cancel=True)]
    run_bot({"slow": watches})
    assert stopped.wait(DEADLINE)


def test_a_lost_lease_is_not_renewed_again(server: FakeServer, run_bot: RunBot) -> None:
    lost, release = threading.Event(), threading.Event()

    def waits(job: Job) -> None:
        assert job.cancelled.wait(DEADLINE)
        lost.set()
        release.wait(DEADLINE)

    job = server.add_job("slow")
    server.answers[f"jobs/{job}/heartbeat"] = [lease_lost()]
    run_bot({"slow": waits})
    assert lost.wait(DEADLINE)
    # The same thread sends the bot's own heartbeats after those of its jobs, so two of them are two whole rounds.
    server.wait_for("heartbeat", times=len(server.of("heartbeat")) + 2)
    assert len(server.of(f"jobs/{job}/heartbeat")) == 1
    release.set()


def test_a_late_result_is_still_sent_and_its_refusal_dropped(server: FakeServer, run_bot: RunBot) -> None:
    def deaf(job: Job) -> int:
        assert job.cancelled.wait(DEADLINE)
        return 3

    late, next_one = server.add_job("deaf"), server.add_job("fine")
    server.answers[f"jobs/{late}/heartbeat"] = [lease_lost()]
    server.answers[f"jobs/{late}/complete"] = [lease_lost()]
    run_bot({"deaf": deaf, "fine": lambda job: None})
    server.wait_for(f"jobs/{next_one}/complete")
    assert [call.body["result"] for call in server.of(f"jobs/{late}/complete")] == [3]
    assert not server.of(f"jobs/{late}/fail")


def test_a_heartbeat_is_due_after_a_third_of_the_time_to_the_deadline(server: FakeServer) -> None:
    with Client(server.url, "t") as client:
        pulse = Pulse(client, None)

        def interval(seconds: float | None) -> float:
            deadline = None if seconds is None else datetime.now(UTC) + timedelta(seconds=seconds)
            return pulse.interval(Job(ClaimedJob(1, "sum", 1, None, 0, None, None, deadline, None)))

        assert 19 < interval(60) <= 20
        assert interval(3600) == LATEST
        assert interval(0.5) == SOONEST
        assert interval(-5) == ORDINARY
        assert interval(None) == ORDINARY


def test_deadlines_are_read_by_the_servers_clock(server: FakeServer) -> None:
    # The server's clock is a day ahead of this machine's.
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    server.clock = lambda: tomorrow
    with Client(server.url, "t") as client:
        client.bot_heartbeat()
        assert abs((client.server_now() - tomorrow).total_seconds()) < 60


def test_a_bot_without_handlers_is_refused_at_once(server: FakeServer) -> None:
    with pytest.raises(ValueError, match="handler"):
        Bot(server.url, "t", {})
