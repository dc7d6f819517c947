"""Sending beside the sweeps of a loop: how many passes at once, how they end, and what is said of trouble."""

import threading
from concurrent.futures import Future

import pytest
from django.db import OperationalError

from alerts.delivery import background, timing
from alerts.delivery.dispatch import SendCounts


def test_only_so_many_passes_go_on_at_once_and_all_of_them_end_with_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    began = threading.Semaphore(0)
    ended: list[SendCounts] = []

    def send_due(*, halt: "Future[None]") -> SendCounts:
        began.release()
        # As if each of them waited for somebody's answer until it is told to stop.
        halt.result(60)
        return SendCounts(sent=1)

    monkeypatch.setattr(background, "send_due", send_due)
    with background.BackgroundSender(ended.append, pytest.fail) as sending:
        for _ in range(timing.MAX_BACKGROUND_RUNS + 3):
            sending.start_run()
        for _ in range(timing.MAX_BACKGROUND_RUNS):
            assert began.acquire(timeout=60)
        assert len(sending.threads) == timing.MAX_BACKGROUND_RUNS
    assert ended == [SendCounts(sent=1)] * timing.MAX_BACKGROUND_RUNS
    assert not began.acquire(blocking=False)


def test_a_database_that_goes_away_is_reported_and_the_next_run_begins_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    heard = threading.Semaphore(0)

    def send_due(*, halt: "Future[None]") -> SendCounts:
        raise OperationalError("server closed the connection")

    def failed(error: BaseException) -> None:
        said.append(str(error))
        heard.release()

    monkeypatch.setattr(background, "send_due", send_due)
    with background.BackgroundSender(pytest.fail, failed) as sending:
        for _ in range(2):
            sending.start_run()
            assert heard.acquire(timeout=60)
    assert said == ["server closed the connection"] * 2
