"""Two checkouts are compared pair by pair."""

from bench.pairs import Row, interval, table


def test_the_interval_of_ten_pairs_is_from_the_second_to_the_ninth() -> None:
    assert interval([float(n) for n in (5, 3, 9, 1, 10, 2, 8, 4, 7, 6)]) == (2.0, 9.0)


def test_a_few_pairs_say_no_more_than_their_extremes() -> None:
    assert interval([1.1, 0.9, 1.0]) == (0.9, 1.1)


def test_what_counts_is_the_ratio_within_each_pair() -> None:
    row = Row(100, here=[10.0, 30.0, 21.0], there=[10.0, 20.0, 20.0])
    assert row.ratios == [1.0, 1.5, 1.05]
    assert table([row]).rows[0][3] == "1.050"
