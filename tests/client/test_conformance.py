"""The conformance suite finds no fault in the bots of this project, and finds each fault of a careless one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobsite_client.conformance import RULES, SCENARIOS, run

REPO = Path(__file__).resolve().parents[2]
CARELESS = [sys.executable, str(Path(__file__).with_name("careless_bot.py"))]
#: All scenarios in place of the quick ones: `make test-all` sets it.
FULL = bool(os.environ.get("CONFORMANCE"))


def suite(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the suite as its users do."""
    command = [sys.executable, "-m", "jobsite_client.conformance", *arguments]
    path = os.pathsep.join(filter(None, (str(REPO / "client"), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True, check=False)


def check(*command: str) -> None:
    """The bot that this command starts breaks no rule."""
    done = suite(*([] if FULL else ["--quick"]), "--calls", "--", *command)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_python_library_breaks_no_rule() -> None:
    check(sys.executable, "client/examples/conformance_bot.py")


@pytest.mark.skipif(not FULL, reason="make test-all has it: the quick scenarios need one slot")
def test_the_python_library_breaks_no_rule_with_several_slots() -> None:
    check(sys.executable, "client/examples/conformance_bot.py", "4")


#: How a bot is careless, the scenario that shows it, and the rule that it breaks. Those that take long are last.
FAULTS = [
    ("no hello", "work", "hello-first"),
    ("no name", "work", "instance-sent"),
    ("counts attempts", "work", "attempt-sent"),
    ("tries again", "work", "every-end-reported"),
    ("spoils results", "work", "every-end-reported"),
    ("works twice", "work", "once-a-lease"),
    ("hammers", "long-poll", "no-hammering"),
    ("calls after goodbye", "sigterm-idle", "silent-after-goodbye"),
    ("no goodbye", "sigterm", "sigterm-holds-nothing"),
    ("dies", "sigterm", "sigterm-holds-nothing"),
    ("fights", "replaced", "stops-when-replaced"),
    ("one name", "killed", "hello-first"),
    ("in a hurry", "busy", "retry-after"),
]
SLOW = [
    ("reports once", "lost-answer", "report-repeated"),
    ("tries for ever", "revoked", "stops-when-refused"),
    ("deaf", "sigterm", "sigterm-in-time"),
    ("", "heartbeats", "lease-renewed"),
    ("", "cancel", "stops-when-lost"),
]


@pytest.mark.parametrize(("wrong", "scenario", "rule"), FAULTS + (SLOW if FULL else []))
def test_a_careless_bot_is_found_out(wrong: str, scenario: str, rule: str) -> None:
    outcome = run(SCENARIOS[scenario], [*CARELESS, wrong])
    assert rule in {fault.rule for fault in outcome.faults}, outcome


@pytest.mark.parametrize("scenario", ["work", "sigterm"])
def test_the_same_bot_with_care_passes(scenario: str) -> None:
    assert run(SCENARIOS[scenario], CARELESS).faults == []


# --- The command line -------------------------------------------------------------------------------------------------


def test_the_command_says_what_is_wrong_in_sentences_and_as_json() -> None:
    command = ("--scenario", "sigterm", "--", *CARELESS, "no goodbye")
    done = suite(*command)
    assert done.returncode == 1
    assert f"sigterm-holds-nothing: {RULES['sigterm-holds-nothing']}" in done.stdout
    assert "still holds job 17 (conformance.sleep), attempt 3000001." in done.stdout
    assert done.stdout.endswith("1 scenarios, 1 failed.\n")
    done = suite("--json", *command)
    assert done.returncode == 1
    (scenario,) = json.loads(done.stdout)["scenarios"]
    assert (scenario["name"], scenario["passed"]) == ("sigterm", False)
    assert "sigterm-holds-nothing" in {fault["rule"] for fault in scenario["faults"]}


def test_a_command_that_cannot_be_started_is_a_fault() -> None:
    done = suite("--scenario", "work", "--", "./there-is-no-such-bot")
    assert done.returncode == 1
    assert "there-is-no-such-bot" in done.stdout


def test_scenarios_and_rules_are_listed() -> None:
    listed = json.loads(suite("--list", "--json").stdout)
    assert listed == {"scenarios": {name: one.about for name, one in SCENARIOS.items()}, "rules": RULES}
    words = suite("--list").stdout
    assert all(name in words for name in (*SCENARIOS, *RULES))


def test_without_a_command_there_is_nothing_to_check() -> None:
    done = suite()
    assert (done.returncode, "after --" in done.stderr) == (2, True)
