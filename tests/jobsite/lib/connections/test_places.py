"""The pool is divided: nobody can take all of it, and repeats of a slow call share one place."""

import pytest

from jobsite.lib.connections import places
from jobsite.lib.connections.places import Caller, Kind, NoPlace, Places

SIZE = 16


def taken(all_places: Places, *callers: Caller | None) -> int:
    """How many of these get a place now."""
    got = 0
    for caller in callers:
        try:
            all_places.take(caller, 0)
        except NoPlace:
            continue
        got += 1
    return got


def others(kind: Kind, n: int = 50) -> list[Caller]:
    return [Caller(kind, f"{kind.name} {i}") for i in range(n)]


@pytest.mark.parametrize("kind", list(Kind))
def test_whoever_takes_all_they_can_leaves_places_for_every_other_kind(kind: Kind) -> None:
    all_places = Places(SIZE)
    assert 0 < taken(all_places, *others(kind)) < SIZE
    for other in set(Kind) - {kind}:
        assert taken(all_places, *others(other)) == all_places.own[other]


def test_all_places_are_given_and_not_one_more() -> None:
    all_places = Places(SIZE)
    assert taken(all_places, *(caller for kind in Kind for caller in others(kind))) == SIZE
    assert taken(all_places, None) == 0


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_pool_too_small_to_be_divided_is_everybodys(size: int) -> None:
    assert taken(Places(size), *others(Kind.BOT)) == size


@pytest.mark.parametrize("size", [4, 5, 16, 40, 100])
def test_each_kind_has_one_at_least(size: int) -> None:
    assert min(Places(size).own) >= 1
    assert Places(size).shared >= 0


def test_one_caller_gets_a_few_at_most() -> None:
    all_places = Places(SIZE)
    assert taken(all_places, *[Caller(Kind.BOT, "ada", f"call {i}") for i in range(SIZE)]) == all_places.most
    assert taken(all_places, Caller(Kind.BOT, "bob", "call")) == 1


def test_repeats_of_a_call_share_one() -> None:
    all_places = Places(SIZE)
    again = Caller(Kind.BOT, "ada", "the same")
    assert taken(all_places, *[again] * 5, Caller(Kind.BOT, "ada", "another")) == 2
    all_places.give_back(again)
    assert taken(all_places, again, again) == 1


def test_a_place_that_is_returned_goes_to_the_first_that_may_have_it() -> None:
    all_places = Places(1)
    all_places.take(None, 0)
    first, second = places._Waiting(Caller(Kind.BOT, "ada")), places._Waiting(Caller(Kind.BOT, "bob"))
    all_places._queue += [first, second]
    all_places.give_back(None)
    assert (first.taken, second.taken) == (True, False)
    all_places.give_back(first.caller)
    assert second.taken


def test_one_that_waits_no_longer_leaves_the_queue() -> None:
    all_places = Places(1)
    all_places.take(None, 0)
    with pytest.raises(NoPlace):
        all_places.take(Caller(Kind.BOT, "ada"), 0)
    assert all_places.waiting == 0
    all_places.give_back(None)
    assert taken(all_places, None) == 1


def test_only_so_many_repeats_of_a_slow_call_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "SLOW_AFTER", -1)
    all_places, again = Places(SIZE), Caller(Kind.BOT, "ada", "the same")
    all_places.take(again, 0)
    assert all_places.has_slow_call(again)
    all_places._queue += [places._Waiting(again) for _ in range(places.MAX_REPEATS_WAITING)]
    # It would wait for three seconds.
    with pytest.raises(NoPlace, match="The same call is still being carried out"):
        all_places.take(again, 60)


def test_what_is_taken_and_returned_adds_up_to_nothing() -> None:
    all_places = Places(SIZE)
    callers = [*others(Kind.BOT, 6), *others(Kind.KEY, 4), None, Caller(Kind.PROBE)]
    for caller in callers:
        all_places.take(caller, 0)
    for caller in reversed(callers):
        all_places.give_back(caller)
    assert (all_places._taken, all_places._borrowed, all_places._of_kind) == (0, 0, [0] * len(Kind))
    assert (all_places._of_who, all_places._calls) == ({}, {})
