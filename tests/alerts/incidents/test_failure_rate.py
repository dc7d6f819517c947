"""The test that says whether more jobs fail than usual."""

import random

import pytest

from alerts.incidents.failure_rate import MIN_FAILED, jumped, still_up
from jobsite.lib.proportions import Share, newcombe_growth, wilson


def test_the_interval_is_wilsons():
    # Newcombe (1998), "Two-sided confidence intervals for the single proportion", table I: 81 of 263, 95 %.
    low, high = wilson(81, 263, 1.959964)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    # And 0 of 20, where the usual formula has no width.
    low, high = wilson(0, 20, 1.959964)
    assert (low, round(high, 4)) == (0.0, 0.1611)
    assert wilson(0, 0, 2) == (0.0, 1.0)


def test_the_growth_is_newcombes():
    # Newcombe (1998), "Interval estimation for the difference", table II: 56/70 beside 48/80, method 10.
    assert round(newcombe_growth(Share(56, 70), Share(48, 80), 1.959964), 4) == 0.0524
    # 9/10 beside 3/10.
    assert round(newcombe_growth(Share(9, 10), Share(3, 10), 1.959964), 4) == 0.1705


@pytest.mark.parametrize(
    ("lately", "past"),
    [((6, 10), (0, 50)), ((20, 100), (10, 1000)), ((30, 100), (300, 10_000)), ((40, 100), (200, 1000))],
)
def test_a_clear_jump_is_seen(lately, past):
    assert jumped(Share(*lately), Share(*past))


@pytest.mark.parametrize(
    ("lately", "past", "why"),
    [
        ((4, 10), (0, 1000), "too few failed"),
        ((5, 9), (0, 1000), "too few ended"),
        ((10, 10), (0, 49), "too little past"),
        ((5, 10), (500, 1000), "as usual"),
        ((5, 100), (20, 1000), "may be chance"),
        ((600, 10_000), (20_000, 1_000_000), "surely more, and too little to matter"),
        ((35, 100), (200, 1000), "less than twice as many"),
        ((0, 0), (0, 0), "nothing"),
    ],
)
def test_what_is_no_jump(lately, past, why):
    assert not jumped(Share(*lately), Share(*past)), why


def test_it_goes_on_for_longer_than_it_takes_to_begin():
    lately, past = Share(5, 60), Share(10, 1000)
    assert not jumped(lately, past)
    assert still_up(lately, past)
    assert not still_up(Share(1, 50), past)
    assert not still_up(Share(0, 0), past)


@pytest.mark.parametrize(("share", "ended"), [(0.01, 30), (0.05, 10), (0.05, 30), (0.2, 20), (0.3, 30)])
def test_chance_alone_opens_hardly_ever_one(share, ended):
    """Fewer than one look in ten thousand, whatever share is usual."""
    chance = random.Random(1998)
    past = Share(int(share * 1000), 1000)
    looks = 20_000
    wrong = sum(jumped(Share(sum(chance.random() < share for _ in range(ended)), ended), past) for _ in range(looks))
    assert MIN_FAILED > 1 and wrong <= 3
