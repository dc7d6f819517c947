"""Where claims look: from the beginning, until that is slow; then from where work was, and soon from the beginning."""

import pytest

from jobs.turns.frontier import LONGEST, MOST_RANKS, SHARE, Floors, Look, Place

SLOW, QUICK = 0.5, 0.001
KEY = ((), None)


def look(found: int = 1, *, wanted: int = 1, priority: int | None = 0, run_at: str = "09:00", id: int = 7, took=SLOW):
    place = None if priority is None else Place(run_at, id)
    return Look(found, wanted, priority, place, "12:00", took)


@pytest.fixture
def floors() -> Floors:
    return Floors()


def note(floors: Floors, said: Look, now: float = 0.0, key=KEY) -> None:
    floors.note(key, floors.start(key, now), said, now, 0.02)


def test_while_looks_are_quick_every_look_is_whole(floors: Floors) -> None:
    for now in range(5):
        assert floors.start(KEY, now).whole
        note(floors, look(took=QUICK), now)


def test_after_a_slow_look_the_next_starts_where_it_found_work(floors: Floors) -> None:
    note(floors, look())
    assert floors.start(KEY, 0.01).ranks == {0: Place("09:00", 7)}


def test_a_large_claim_may_take_longer(floors: Floors) -> None:
    note(floors, look(1000, wanted=1000, took=0.4))
    assert floors.start(KEY, 0.01).whole


def test_each_sort_of_claim_has_its_own(floors: Floors) -> None:
    note(floors, look())
    assert floors.start((("sum",), None), 0.01).whole


def test_the_floor_moves_with_the_work(floors: Floors) -> None:
    note(floors, look())
    note(floors, look(run_at="10:00", id=9, took=QUICK), 0.01)
    assert floors.start(KEY, 0.02).ranks == {0: Place("10:00", 9)}


def test_a_priority_that_was_left_behind_is_looked_at_from_that_moment_on(floors: Floors) -> None:
    note(floors, look(priority=5))
    note(floors, look(priority=0), 0.01)
    assert floors.start(KEY, 0.02).ranks == {5: Place("12:00", 0), 0: Place("09:00", 7)}


def test_when_there_is_not_enough_all_were_looked_through(floors: Floors) -> None:
    note(floors, look(priority=5))
    note(floors, look(2, wanted=9, priority=0), 0.01)
    assert set(floors.start(KEY, 0.02).ranks.values()) == {Place("12:00", 0)}


def test_when_there_is_nothing_the_places_stay_known(floors: Floors) -> None:
    note(floors, look())
    note(floors, look(0, priority=None), 0.01)
    assert floors.start(KEY, 0.02).ranks == {0: Place("12:00", 0)}


def test_a_whole_look_comes_after_ten_times_what_the_last_one_took(floors: Floors) -> None:
    note(floors, look(took=0.03))
    assert not floors.start(KEY, 0.03 * SHARE - 0.01).whole
    assert floors.start(KEY, 0.03 * SHARE).whole


def test_a_whole_look_comes_within_a_second_whatever_it_takes(floors: Floors) -> None:
    note(floors, look(took=100))
    assert LONGEST < 1
    assert not floors.start(KEY, LONGEST - 0.01).whole
    assert floors.start(KEY, LONGEST).whole


def test_of_many_threads_one_makes_the_whole_look(floors: Floors) -> None:
    note(floors, look(took=100))
    assert [floors.start(KEY, 1.0).whole for _ in range(4)] == [True, False, False, False]


def test_when_it_is_quick_again_floors_are_forgotten(floors: Floors) -> None:
    note(floors, look())
    note(floors, look(took=QUICK), 1.0)
    assert floors.start(KEY, 1.01).whole


def test_it_does_not_remember_without_end(floors: Floors) -> None:
    note(floors, look())
    for priority in range(2 * MOST_RANKS):
        note(floors, look(priority=priority), 0.01)
    assert len(floors.start(KEY, 0.02).ranks) == MOST_RANKS
