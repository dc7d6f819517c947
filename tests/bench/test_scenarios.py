"""Command line, README and page name the same scenarios, bars are judged rightly, and nothing quick is shown."""

import ast
import json
import re

import pytest

from bench import bars, page
from bench.__main__ import SCENARIOS, options_for, parser, scenario, smaller
from bench.places import HERE
from bench.tables import Table
from tests.docs.reading import table, word


def test_each_scenario_is_in_the_readme_and_on_the_page():
    assert [word(row["scenario"]) for row in table("bench/README.md", "scenario", "what it measures")] == list(
        SCENARIOS
    )
    shown = [re.findall(r"<!-- bench: (\w+) -->", path.read_text(encoding="utf-8")) for path in page.PAGES]
    assert shown == [list(SCENARIOS), ["bars"]]
    assert sorted(path.stem for path in (HERE / "scenarios").glob("[a-z]*.py")) == sorted(SCENARIOS)


def test_each_plot_that_the_page_shows_is_drawn():
    drawn = ast.parse((HERE / "plot.py").read_text(encoding="utf-8"))
    assert set(page.PLOTS) <= {node.name for node in drawn.body if isinstance(node, ast.FunctionDef)}
    assert set(page.PLOTS) <= set(SCENARIOS)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_explains_itself_and_can_be_run_alone(name):
    module = scenario(name)
    assert module.__doc__
    assert module.ABOUT
    assert callable(module.run)
    assert callable(module.tables)
    assert options_for(name, None).scenario == name
    assert parser().parse_args([name, "--quick"]).quick
    assert parser().parse_args(["--quick", name]).quick


def test_a_quick_run_is_a_tenth_in_one_round():
    options = options_for("lifecycle", None)
    jobs = options.jobs
    smaller(options)
    assert (options.jobs, options.repeat) == (jobs // 10, 1)
    assert options.limits == [1, 10, 100, 500]
    options = options_for("enqueue", None)
    smaller(options)
    assert options.lines == [10_000, 100_000]


def lifecycle(**rates):
    """A result of the lifecycle: name_kind=rate."""
    rows = [
        {"name": name.replace("graphile", "graphile-worker"), "kind": kind, "rate": rate, "limit": limit}
        for (name, kind, limit), rate in (((*key.split("_"),), rate) for key, rate in rates.items())
        for limit in [int(limit)]
    ]
    return {"rows": rows}


def test_bars_compare_with_the_best_setting_of_the_peer():
    result = lifecycle(jobsite_single_1=95, graphile_single_0=90, graphile_batch_0=100, jobsite_batch_100=150)
    result["rows"] += lifecycle(graphile_single_1=100, jobsite_batch_500=900, psycopg_batch_100=300)["rows"]
    rows = {row[0].split(" over")[0] + row[0][-10:]: row for row in bars.table({"lifecycle": result}).rows}
    shown = [(row[2], row[3]) for row in rows.values()]
    assert shown == [("0.950 ×", "met"), ("1.50 ×", "met"), ("0.500 ×", "not met")]


def test_a_bar_without_its_measurement_is_not_met_by_silence():
    rows = bars.table({"lifecycle": lifecycle(jobsite_single_1=95)}).rows
    assert {row[3] for row in rows} == {"not measured"}
    assert bars.table({}) is None


def test_a_bar_that_is_a_limit_is_met_from_below():
    sweep = {"seconds": 1.5, "with": {"p99": 0.05}, "without": {"p99": 0.02}}
    assert [row[3] for row in bars.table({"sweep": sweep}).rows] == ["met", "not met"]


def test_pickup_is_not_judged_when_jobs_never_arrived():
    result = {"from_answer": {"p50": 0.001, "p99": 0.002}, "arrived": 9, "jobs": 10}
    assert {row[3] for row in bars.table({"pickup": result}).rows} == {"not measured"}


def test_the_page_is_filled_between_its_markers_again_and_again():
    text = "a\n<!-- bench: size -->\nold\n<!-- end -->\nb\n<!-- bench: sweep -->\nkept\n<!-- end -->\n"
    once = page.fill(text, {"size": "new\n"})
    assert once == text.replace("old\n", "\nnew\n\n")
    assert page.fill(once, {"size": "new\n"}) == once


def test_only_full_results_reach_the_page_and_the_newest_wins(tmp_path):
    def result(name, full):
        path = tmp_path / name
        path.write_text(json.dumps({"date": name, "scenarios": {"size": {"full": full}}}))
        return path

    paths = [result("3.json", False), result("1.json", True), result("2.json", True)]
    assert page.newest(paths)["size"]["date"] == "2.json"
    with pytest.raises(page.NothingToWrite):
        page.newest(paths[:1])


def test_a_table_is_good_markdown():
    shown = Table("Title", ["a", "b"], [["x|y", "1"]], ["A note."]).markdown()
    assert shown == "**Title**\n\n| a | b |\n| --- | ---: |\n| x\\|y | 1 |\n\nA note.\n"
