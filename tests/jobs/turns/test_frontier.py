"""Where a claim starts: at the beginning, until that is slow; then where work was, and soon at the beginning again."""

import pytest

from jobs.turns.frontier import MAX_INTERVAL, MAX_PRIORITIES, TIME_SHARE, Frontiers, Position, Search

SLOW, QUICK = 0.5, 0.001
KEY = ((), None)


def search(found: int = 1, *, wanted: int = 1, priority: int | None = 0, run_at: str = "09:00", id: int = 7, took=SLOW):
    position = None if priority is None else Position(run_at, id)
    return Search(found, wanted, priority, position, "12:00", took)


@pytest.fixture
def frontiers() -> Frontiers:
    return Frontiers()


def record(frontiers: Frontiers, result: Search, now: float = 0.0, key=KEY) -> None:
    frontiers.record(key, frontiers.start(key, now), result, now, 0.02)


def test_while_searches_are_quick_every_search_is_from_the_beginning(frontiers: Frontiers) -> None:
    for now in range(5):
        assert frontiers.start(KEY, now).from_beginning
        record(frontiers, search(took=QUICK), now)


def test_after_a_slow_search_the_next_starts_where_it_found_work(frontiers: Frontiers) -> None:
    record(frontiers, search())
    assert frontiers.start(KEY, 0.01).positions == {0: Position("09:00", 7)}


def test_a_large_claim_may_take_longer(frontiers: Frontiers) -> None:
    record(frontiers, search(1000, wanted=1000, took=0.4))
    assert frontiers.start(KEY, 0.01).from_beginning


def test_each_set_of_kinds_has_its_own(frontiers: Frontiers) -> None:
    record(frontiers, search())
    assert frontiers.start((("sum",), None), 0.01).from_beginning


def test_the_frontier_moves_with_the_work(frontiers: Frontiers) -> None:
    record(frontiers, search())
    record(frontiers, search(run_at="10:00", id=9, took=QUICK), 0.01)
    assert frontiers.start(KEY, 0.02).positions == {0: Position("10:00", 9)}


def test_a_priority_that_was_left_behind_is_searched_from_that_moment_on(frontiers: Frontiers) -> None:
    record(frontiers, search(priority=5))
    record(frontiers, search(priority=0), 0.01)
    assert frontiers.start(KEY, 0.02).positions == {5: Position("12:00", 0), 0: Position("09:00", 7)}


def test_when_there_is_not_enough_all_were_searched(frontiers: Frontiers) -> None:
    record(frontiers, search(priority=5))
    record(frontiers, search(2, wanted=9, priority=0), 0.01)
    assert set(frontiers.start(KEY, 0.02).positions.values()) == {Position("12:00", 0)}


def test_when_there_is_nothing_the_positions_stay_known(frontiers: Frontiers) -> None:
    record(frontiers, search())
    record(frontiers, search(0, priority=None), 0.01)
    assert frontiers.start(KEY, 0.02).positions == {0: Position("12:00", 0)}


def test_a_search_from_the_beginning_comes_after_ten_times_what_the_last_one_took(frontiers: Frontiers) -> None:
    record(frontiers, search(took=0.03))
    assert not frontiers.start(KEY, 0.03 * TIME_SHARE - 0.01).from_beginning
    assert frontiers.start(KEY, 0.03 * TIME_SHARE).from_beginning


def test_a_search_from_the_beginning_comes_within_a_second_whatever_it_takes(frontiers: Frontiers) -> None:
    record(frontiers, search(took=100))
    assert MAX_INTERVAL < 1
    assert not frontiers.start(KEY, MAX_INTERVAL - 0.01).from_beginning
    assert frontiers.start(KEY, MAX_INTERVAL).from_beginning


def test_of_many_threads_one_makes_the_search_from_the_beginning(frontiers: Frontiers) -> None:
    record(frontiers, search(took=100))
    assert [frontiers.start(KEY, 1.0).from_beginning for _ in range(4)] == [True, False, False, False]


def test_when_it_is_quick_again_frontiers_are_forgotten(frontiers: Frontiers) -> None:
    record(frontiers, search())
    record(frontiers, search(took=QUICK), 1.0)
    assert frontiers.start(KEY, 1.01).from_beginning


def test_it_does_not_remember_without_end(frontiers: Frontiers) -> None:
    record(frontiers, search())
    for priority in range(2 * MAX_PRIORITIES):
        record(frontiers, search(priority=priority), 0.01)
    assert len(frontiers.start(KEY, 0.02).positions) == MAX_PRIORITIES
