"""What stands out, in figures: intervals as they were published, and chances that are never smaller than they are."""

import random
from fractions import Fraction
from math import ceil, comb, floor

import pytest

from jobs.release_patterns.outliers import (
    DEVIATIONS,
    LEVEL,
    MIN_OTHERS,
    MIN_RETURNED,
    MIN_SHARED,
    at_least,
    compare,
    dispersion,
)
from jobsite.lib.proportions import wilson


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    # R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_intervals_are_those_that_newcombe_published(k, n, low, high):
    assert wilson(k, n, DEVIATIONS) == pytest.approx((low, high), abs=5e-5)


def test_an_interval_of_all_reaches_to_one_and_of_none_says_nothing():
    assert wilson(20, 20, DEVIATIONS)[1] == 1.0
    assert wilson(20, 20, DEVIATIONS)[0] == pytest.approx(1 - 0.1611, abs=5e-5)
    assert wilson(0, 0, DEVIATIONS) == (0.0, 1.0)


def exact_tail(k, n, share):
    return float(sum(comb(n, i) * share**i * (1 - share) ** (n - i) for i in range(k, n + 1)))


@pytest.mark.parametrize("n", [1, 7, 40, 200])
@pytest.mark.parametrize("share", [Fraction(1, 1000), Fraction(1, 6), Fraction(1, 2), Fraction(9, 10)])
def test_the_tail_is_the_exact_sum(n, share):
    for k in range(0, n + 1, max(1, n // 9)):
        assert at_least(k, n, float(share)) == pytest.approx(exact_tail(k, n, share), rel=1e-9)


def test_the_tail_holds_for_ten_million():
    # A fair coin: half of the time at least half, and far out nothing but a number, too.
    assert at_least(5_000_000, 10_000_000, 0.5) == pytest.approx(0.5, abs=2e-4)
    assert 0 <= at_least(9_000_000, 10_000_000, 0.5) < 1e-300
    assert at_least(3, 2, 0.5) == 0
    assert at_least(0, 0, 0.5) == 1


def hypergeometric(n, whole, given):
    """The distribution of how many of `n` are among the `given` of a `whole`."""
    return {
        k: Fraction(comb(given, k) * comb(whole - given, n - k), comb(whole, n))
        for k in range(max(0, n + given - whole), min(n, given) + 1)
    }


def test_the_chance_is_never_smaller_than_the_exact_one_over_strata():
    dice = random.Random(11)
    tried = 0
    for _ in range(300):
        cells, total, sums = {}, 0, {0: Fraction(1)}
        for stratum in ("a", "b", "c"):
            n, others = dice.randint(5, 40), dice.randint(40, 120)
            k, rest = dice.randint(0, n // 2), dice.randint(0, others // 8)
            cells[("it", stratum)], cells[("others", stratum)] = (k, n), (rest, others)
            total += k
            one = hypergeometric(n, n + others, k + rest)
            nexts: dict[int, Fraction] = {}
            for i, p in sums.items():
                for j, q in one.items():
                    nexts[i + j] = nexts.get(i + j, Fraction(0)) + p * q
            sums = nexts
        exact = float(sum(p for value, p in sums.items() if value >= total))
        said = next(one for one in compare(cells) if one.value == "it").chance
        assert said >= min(1.0, 2 * exact) * (1 - 1e-9)
        # Two values were looked at. It is not merely never smaller: it is near.
        if 1e-9 < exact < 1e-3:
            tried += 1
            assert said / 2 < exact * 400
    assert tried > 30


def test_the_chance_beside_one_worked_by_hand():
    # Fisher's tea: four cups of eight, all four right; the exact chance is 1 in 70. But five are the least that count.
    cells = {("milk", ""): (5, 5), ("tea", ""): (0, 5)}
    (milk, _) = compare(cells)
    # Hypergeometric 1/252; the bound is the binomial's (1/2)^5, for two values looked at.
    assert milk.chance == pytest.approx(2 / 32)
    assert milk.times is None
    assert milk.expected == 0


def test_what_comes_one_at_a_time_is_not_bunched_and_what_comes_by_twenty_is():
    assert dispersion([1] * 30, 1000) == 1
    assert dispersion([20, 20, 20], 1000) == pytest.approx(20 - 0.06)
    assert dispersion([], 1000) == 1
    dice = random.Random(5)
    even = [sum(dice.random() < 0.05 for _ in range(100)) for _ in range(2000)]
    assert dispersion(even, 2000) == pytest.approx(1, abs=0.1)


def test_what_came_all_at_once_counts_once():
    cells = {("it", "sum"): (20, 200), ("others", "sum"): (20, 4000)}
    (_, it) = sorted(compare(cells), key=lambda one: one.value == "it")
    assert it.out
    assert not any(one.out or one.hint for one in compare(cells, bunched={"it": 20.0}))


def test_a_bot_that_only_does_a_bad_kind_is_not_blamed():
    cells = {("poor", "bad"): (60, 200), ("rich", "bad"): (60, 200), ("rich", "good"): (8, 2000)}
    assert not [one.value for one in compare(cells) if one.out]
    # By itself, without strata, it would be.
    crude = {("poor", ""): (60, 200), ("rich", ""): (68, 2200)}
    assert [one.value for one in compare(crude) if one.out] == ["poor"]


def test_a_value_that_is_alone_in_its_strata_is_compared_with_all_and_not_apart():
    cells = {("only", "bad"): (60, 200), ("a", "good"): (4, 1000), ("b", "good"): (5, 1000)}
    (only,) = [one for one in compare(cells) if one.out]
    assert (only.value, only.apart) == ("only", False)
    assert only.others_share == pytest.approx(9 / 2000)
    assert only.expected == pytest.approx(0.9)


def test_a_sure_but_small_difference_is_not_worth_a_walk():
    cells = {("it", "sum"): (12_000, 100_000), ("others", "sum"): (100_000, 1_000_000)}
    it = next(one for one in compare(cells) if one.value == "it")
    assert it.chance < LEVEL
    assert it.times == pytest.approx(1.2)
    assert not it.out


def test_few_say_nothing():
    cells = {("it", "sum"): (4, 4), ("others", "sum"): (0, 10_000)}
    assert not any(one.out or one.hint for one in compare(cells))


def test_a_value_without_leases_is_no_value():
    assert compare({("it", "sum"): (0, 0)}) == []
    assert compare({}) == []


def as_written(cells, bunched, value):
    """A value's expected number, chance and whether it is apart, as the decision defines them."""
    cells = {pair: counts for pair, counts in cells.items() if counts[1]}
    strata = {s: [sum(c[i] for (_, of), c in cells.items() if of == s) for i in (0, 1)] for _, s in cells}
    own = {stratum: counts for (of, stratum), counts in cells.items() if of == value}
    given, leases = (sum(counts[i] for counts in own.values()) for i in (0, 1))
    shared = [(*own[s], *strata[s]) for s in own if strata[s][1] - own[s][1] >= min(MIN_OTHERS, max(1, own[s][1]))]
    apart = sum(n for _, n, _, _ in shared) >= MIN_SHARED * leases
    if not apart:
        shared = [(given, leases, *(sum(counts[i] for counts in strata.values()) for i in (0, 1)))]
    expected = sum(n * (all_k - k) / (all_n - n) for k, n, all_k, all_n in shared if all_n > n)
    mean = sum(n * all_k / all_n for _, n, all_k, all_n in shared) / bunched
    tries = ceil(sum(min(n, all_k) for _, n, all_k, _ in shared) / bunched)
    k = sum(k for k, _, _, _ in shared)
    count = floor(k / bunched)
    tested = given >= MIN_RETURNED and tries and count >= mean + 1
    values = len({value for value, _ in cells})
    chance = min(1.0, at_least(count, tries, mean / tries) * values) if tested else 1.0
    return (given * expected / k if k else expected) if expected else 0.0, chance, apart


def test_each_of_many_values_is_compared_as_the_decision_defines_it():
    dice = random.Random(3)
    seen = set()
    for _ in range(100):
        sizes = [dice.choice([0, 1, 3, 10, 30, 500]) for _ in range(40)]
        cells = {(f"bot {dice.randrange(12)}", f"kind {dice.randrange(6)}"): (dice.randint(0, n), n) for n in sizes}
        bunched = {f"bot {n}": dice.choice([1.0, 2.5]) for n in range(6)}
        for one in compare(cells, bunched=bunched):
            expected, chance, apart = as_written(cells, bunched.get(one.value, 1.0), one.value)
            assert (one.expected, one.chance) == pytest.approx((expected, chance), rel=1e-9)
            assert one.apart is apart
            seen.add((apart, one.out, one.given == 0))
    assert len(seen) > 4


def test_some_values_are_compared_as_among_all():
    cells = {("a", "sum"): (9, 200), ("b", "sum"): (1, 300), ("c", "sum"): (2, 400)}
    assert compare(cells, sorts=4, only={"a", "c"}) == [one for one in compare(cells, sorts=4) if one.value != "b"]
