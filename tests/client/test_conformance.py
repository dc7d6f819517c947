"""The conformance suite finds no fault in the bots of this project, and finds each fault of a careless one."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jobsite_client.conformance import RULES, SCENARIOS, run
from jobsite_client.conformance.__main__ import main

REPO = Path(__file__).resolve().parents[2]
CARELESS = [sys.executable, str(Path(__file__).with_name("careless_bot.py"))]
#: All scenarios, and not two that are quick: `make test-all` sets it.
FULL = bool(os.environ.get("TEST_ALL"))


def suite(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the suite as its users do."""
    command = [sys.executable, "-m", "jobsite_client.conformance", *arguments]
    path = os.pathsep.join(filter(None, (str(REPO / "client"), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True, check=False)


def check(*command: str) -> None:
    """The bot that this command starts breaks no rule."""
    chosen = [] if FULL else [f"--scenario={name}" for name in ("work", "sigterm-idle")]
    done = suite(*chosen, "--calls", "--", *command)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_python_library_breaks_no_rule() -> None:
    check(sys.executable, "client/examples/conformance_bot.py")


@pytest.mark.long
@pytest.mark.parametrize("how", [["4"], ["1", "asyncio"], ["4", "asyncio"]], ids=" ".join)
def test_the_python_library_breaks_no_rule_with_several_slots_or_on_a_loop(how: list[str]) -> None:
    check(sys.executable, "client/examples/conformance_bot.py", *how)


@pytest.mark.skipif(not shutil.which("curl") or not shutil.which("jq"), reason="curl and jq are not here")
def test_the_bot_in_sh_breaks_no_rule() -> None:
    check("client/examples/bot.sh")


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("go"), reason="go is not here")
def test_the_bot_in_go_breaks_no_rule(tmp_path: Path) -> None:
    environment = os.environ | {"GOCACHE": str(tmp_path / "cache"), "GO111MODULE": "off", "CGO_ENABLED": "0"}
    command = ["go", "build", "-o", str(tmp_path / "bot"), str(REPO / "client/examples/bot.go")]
    built = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    check(str(tmp_path / "bot"))


#: How a bot is careless, the scenario that shows it, and the rule that it breaks.
FAULTS = [
    ("no hello", "work", "hello-first"),
    ("works twice", "work", "once-a-lease"),
    ("no goodbye", "sigterm", "sigterm-holds-nothing"),
    ("fights", "replaced", "stops-when-replaced"),
]
#: The same, for `make test-all`. Many wait long for what should happen at once.
MORE_FAULTS = [
    ("no name", "work", "instance-sent"),
    ("counts attempts", "work", "attempt-sent"),
    ("tries again", "work", "every-end-reported"),
    ("spoils results", "work", "every-end-reported"),
    ("hammers", "long-poll", "no-hammering"),
    ("calls after goodbye", "sigterm-idle", "silent-after-goodbye"),
    ("dies", "sigterm", "sigterm-holds-nothing"),
    ("one name", "killed", "hello-first"),
    ("in a hurry", "busy", "retry-after"),
    ("never waits longer", "outage", "backs-off"),
    ("reports once", "lost-answer", "report-repeated"),
    ("tries for ever", "revoked", "stops-when-refused"),
    ("deaf", "sigterm", "sigterm-in-time"),
    ("knows all fields", "work", "new-fields"),
    ("impatient", "long-poll", "time-out-above-wait"),
    ("forgets", "lost-claim", "holds-all"),
    ("", "restart", "restart-obeyed"),
    ("", "heartbeats", "lease-renewed"),
    ("", "cancel", "stops-when-lost"),
]


@pytest.mark.parametrize(("wrong", "scenario", "rule"), FAULTS + (MORE_FAULTS if FULL else []))
def test_a_careless_bot_is_found_out(wrong: str, scenario: str, rule: str) -> None:
    outcome = run(SCENARIOS[scenario], [*CARELESS, wrong])
    assert rule in {fault.rule for fault in outcome.faults}, outcome


def test_the_same_bot_with_care_passes() -> None:
    assert run(SCENARIOS["sigterm-idle"], CARELESS).faults == []


# --- The command line -------------------------------------------------------------------------------------------------


def test_the_command_says_what_is_wrong_in_sentences_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--scenario", "sigterm", "--", *CARELESS, "no goodbye"]
    assert main(command) == 1
    out = capsys.readouterr().out
    assert f"sigterm-holds-nothing: {RULES['sigterm-holds-nothing']}" in out
    assert "still holds job 17 (conformance.sleep), attempt 3000001." in out
    assert out.endswith("1 scenarios, 1 failed.\n")
    assert main(["--json", *command]) == 1
    (scenario,) = json.loads(capsys.readouterr().out)["scenarios"]
    assert (scenario["name"], scenario["passed"]) == ("sigterm", False)
    assert "sigterm-holds-nothing" in {fault["rule"] for fault in scenario["faults"]}


def test_a_command_that_cannot_be_started_is_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--scenario", "work", "--", "./there-is-no-such-bot"]) == 1
    assert "there-is-no-such-bot" in capsys.readouterr().out


def test_scenarios_and_rules_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed == {"scenarios": {name: one.about for name, one in SCENARIOS.items()}, "rules": RULES}
    assert main(["--list"]) == 0
    words = capsys.readouterr().out
    assert all(name in words for name in (*SCENARIOS, *RULES))


def test_without_a_command_there_is_nothing_to_check(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert (ended.value.code, "after --" in capsys.readouterr().err) == (2, True)
