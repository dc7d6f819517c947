"""The delay before the next attempt doubles, is spread, and stops growing."""

import pytest

from jobs import backoff


@pytest.mark.parametrize(("attempt", "times"), [(1, 1), (2, 2), (3, 4), (6, 32), (11, 1024), (12, 1024), (1000, 1024)])
def test_it_doubles_with_each_attempt_up_to_a_limit(attempt: int, times: int) -> None:
    assert backoff.factor(attempt, draw=0.5) == times


def test_it_is_spread_by_a_quarter_either_way() -> None:
    assert backoff.factor(3, draw=0.0) == 3.0
    assert backoff.factor(3, draw=0.999_999_9) == pytest.approx(5.0)


def test_jobs_that_failed_together_do_not_return_together() -> None:
    drawn = {backoff.factor(1) for _ in range(50)}
    assert len(drawn) > 40
    assert all(0.75 <= factor < 1.25 for factor in drawn)


@pytest.mark.parametrize("attempt", [0, -5])
def test_an_attempt_before_the_first_waits_like_the_first(attempt: int) -> None:
    assert backoff.factor(attempt, draw=0.5) == 1
