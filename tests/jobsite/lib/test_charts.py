"""Charts are drawn to a round scale, with nothing inline, and say in words what is seen."""

import re

import pytest

from jobsite.lib import charts
from jobsite.lib.charts import Line


@pytest.mark.parametrize(("most", "top"), [(0, 1), (1, 1), (3, 5), (7, 10), (12, 20), (480, 500), (5001, 10_000)])
def test_the_scale_ends_at_a_round_figure(most, top):
    assert charts.nice(most) == top


@pytest.mark.parametrize(("most", "top"), [(0.03, 0.05), (45, 60), (61, 120), (4000, 7200), (200_000, 200_000)])
def test_times_end_at_a_round_time(most, top):
    assert charts.nice_time(most) == pytest.approx(top)


@pytest.mark.parametrize(
    ("seconds", "said"), [(None, "–"), (0.04, "40 ms"), (1.25, "1.2 s"), (60, "60 s"), (210, "3.5 m"), (7200, "2 h")]
)
def test_durations_are_short(seconds, said):
    assert charts.seconds(seconds) == said


def test_bars_are_stacked_and_reach_as_high_as_their_figures():
    drawn = charts.stacked([Line("good", "a", [10, 0]), Line("bad", "b", [10, 5])], ("from", "to"), "What is seen")
    good, bad = re.findall(r'<path class="s-\w+" d="([^"]*)"', drawn)
    heights = [float(height) for path in (good, bad) for height in re.findall(r"v([\d.]+)", path)]
    whole = charts.HEIGHT - charts.BOTTOM - charts.TOP
    assert heights == [pytest.approx(whole / 2), pytest.approx(whole / 2), pytest.approx(whole / 4)]
    assert 'aria-label="What is seen"' in drawn
    assert "style" not in drawn


def test_a_line_has_gaps_where_there_is_nothing_and_a_dot_where_a_value_is_alone():
    drawn = charts.lines([Line("work", "run", [1, 2, None, 3, None])], ("from", "to"), "Run times")
    assert drawn.count("M") == 2 + 3  # two pieces of the line, and three of the frame
    assert drawn.count("<circle") == 1


def test_lines_of_numbers_have_a_scale_of_numbers():
    drawn = charts.lines([Line("work", "pending", [30, 4000])], ("from", "to"), "Pending", numbers=True)
    assert re.findall(r'text-anchor="end">([^<]+)<', drawn)[:3] == ["5 k", "2.5 k", "0"]
    drawn = charts.lines([Line("work", "pending", [1])], ("from", "to"), "Pending", numbers=True)
    assert re.findall(r'text-anchor="end">([^<]+)<', drawn)[:2] == ["1", "0"]


def test_what_stands_in_a_chart_is_escaped():
    assert "<script>" not in charts.stacked([Line("good", "a", [1])], ("<script>", "x"), "<script>")


def test_a_heat_map_is_darkest_where_there_is_most_and_says_each_cell():
    drawn = charts.heat(
        [("Mon", [0, 0.5, None], ["none", "half", "nothing"]), ("Tue", [1, 0.01, 0], "abc")], "xyz", "W"
    )
    assert re.findall(r'class="h-(\w+)"', drawn) == ["0", "2", "none", "5", "1", "0"]
    assert "<title>half</title>" in drawn
    assert 'aria-label="W"' in drawn
    assert "style" not in drawn


def test_a_heat_map_escapes_what_it_says():
    assert "<script>" not in charts.heat([("<script>", [1], ["<script>"])], ["<script>"], "<script>")


def test_a_meter_reaches_as_far_as_its_share_and_never_beyond_its_end():
    drawn = charts.meter(0.2, 0.1, 0.9, 0.4, "bad")
    assert 'class="s-bad" y="2" width="50.0"' in drawn
    assert "M25.0 6H100.0" in drawn
    assert 'width="0.0"' in charts.meter(0, 0, 0, 0, "work")
