"""The bench's arithmetic is right: a wrong percentile is worse than none."""

import pytest

from bench import figures


def test_a_percentile_is_a_value_that_so_many_do_not_exceed():
    values = [float(n) for n in range(1, 101)]
    assert figures.percentile(values, 50) == 50
    assert figures.percentile(values, 99) == 99
    assert figures.percentile(values, 100) == 100
    assert figures.percentile([3.0, 1.0, 2.0], 99) == 3
    assert figures.percentile([3.0, 1.0, 2.0], 0) == 1


def test_a_percentile_of_nothing_is_refused():
    with pytest.raises(ValueError, match="of nothing"):
        figures.percentile([], 50)


def test_the_median_is_in_the_middle():
    assert figures.median([9, 1, 5]) == 5
    assert figures.median([1, 2, 3, 10]) == 2.5


def test_a_rate_needs_time():
    assert figures.rate(100, 2) == 50
    with pytest.raises(ValueError, match="cannot be"):
        figures.rate(100, 0)


def test_a_ratio_with_something_that_was_not_measured_is_none():
    assert figures.ratio(3, 2) == 1.5
    assert figures.ratio(None, 2) is None
    assert figures.ratio(3, None) is None
    assert figures.ratio(3, 0) is None


def test_the_spread_is_a_part_of_the_median():
    assert figures.spread([90, 100, 110]) == pytest.approx(0.2)
    assert figures.spread([5]) == 0


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (43_511.2, "43 500"),
        (1424.7, "1 420"),
        (999.6, "1 000"),
        (0.8216, "0.822"),
        (5.0, "5.00"),
        (0, "0"),
        (None, "–"),
    ],
)
def test_figures_have_three_digits_that_mean_something(value, shown):
    assert figures.figure(value) == shown
