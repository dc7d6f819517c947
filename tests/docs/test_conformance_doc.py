"""`docs/conformance.md` lists each scenario and each rule of the suite, and no other."""

from jobsite_client.conformance import RULES, SCENARIOS
from jobsite_client.conformance.queue import KINDS
from tests.docs.reading import table, word

PAGE = "docs/conformance.md"


def test_each_scenario_is_on_the_page():
    listed = {word(row["scenario"]): row["what happens"] for row in table(PAGE, "scenario", "what happens")}
    assert listed == {name: scenario.about for name, scenario in SCENARIOS.items()}


def test_each_rule_is_on_the_page():
    rows = table(PAGE, "rule", "what a bot does")
    assert {row["rule"].strip("`"): row["what a bot does"] for row in rows} == RULES


def test_each_kind_is_on_the_page():
    assert tuple(word(row["kind"]) for row in table(PAGE, "kind", "payload")) == KINDS
