"""The command line: `python -m jobsite_client.conformance -- ./my-bot --its-flag`."""

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from .rules import RULES
from .scenarios import SCENARIOS
from .trial import Outcome, Scenario, run

ABOUT = """Check a Jobsite bot against a server that misbehaves.

The command is started once for each scenario, with JOBSITE_URL and JOBSITE_TOKEN in its environment. The bot must take
the kinds conformance.echo, conformance.fail and conformance.sleep: see client/README.md. The exit code is 0 if it
breaks no rule, 1 if it does."""


def read_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m jobsite_client.conformance",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--list", action="store_true", help="list the scenarios and the rules")
    parser.add_argument("--scenario", action="append", choices=SCENARIOS, metavar="NAME", help="only this; repeatable")
    parser.add_argument("--parallel", type=int, default=4, metavar="N", help="scenarios at a time (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--calls", action="store_true", help="print the calls of each scenario that fails")
    parser.add_argument("command", nargs="*", metavar="COMMAND", help="starts the bot; put -- before it")
    options = parser.parse_args(arguments)
    if not options.list and not options.command:
        parser.error("give the command that starts the bot after --")
    if options.parallel < 1:
        parser.error("--parallel is at least 1")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Check a bot. Returns the exit code."""
    options = read_options(arguments)
    if options.list:
        print(_listed(as_json=options.json))
        return 0
    chosen = [SCENARIOS[name] for name in options.scenario or SCENARIOS]
    outcomes = []
    with ThreadPoolExecutor(options.parallel) as pool:
        for scenario, outcome in zip(chosen, pool.map(lambda one: run(one, options.command), chosen), strict=True):
            outcomes.append(outcome)
            if not options.json:
                print(_shown(scenario, outcome, calls=options.calls), flush=True)
    failed = sum(1 for outcome in outcomes if not outcome.passed)
    if options.json:
        print(json.dumps({"passed": not failed, "scenarios": list(map(_object, outcomes))}, indent=2))
    else:
        print(f"{len(outcomes)} scenarios, {failed} failed.")
    return 1 if failed else 0


def _listed(*, as_json: bool) -> str:
    scenarios = {name: scenario.about for name, scenario in SCENARIOS.items()}
    if as_json:
        return json.dumps({"scenarios": scenarios, "rules": RULES}, indent=2)
    lines = ["Scenarios:", *(f"  {name:16} {about}" for name, about in scenarios.items())]
    return "\n".join([*lines, "Rules:", *(f"  {name:24} {sentence}" for name, sentence in RULES.items())])


def _shown(scenario: Scenario, outcome: Outcome, *, calls: bool) -> str:
    head = f"{'ok  ' if outcome.passed else 'FAIL'}  {scenario.name:16} {scenario.about} ({outcome.seconds:.1f} s)"
    lines = [head]
    for fault in outcome.faults:
        lines += [f"      {fault.rule}: {RULES[fault.rule]}", f"        {fault.sentence}"]
    if not outcome.passed and outcome.output:
        lines += ["      The end of the bot's output:", *(f"        {line}" for line in outcome.output)]
    if not outcome.passed and calls:
        lines += ["      The calls:", *(f"        {call}" for call in outcome.calls)]
    return "\n".join(lines)


def _object(outcome: Outcome) -> dict[str, object]:
    faults = [{"rule": fault.rule, "sentence": fault.sentence} for fault in outcome.faults]
    seconds = round(outcome.seconds, 2)
    return {"name": outcome.name, "passed": outcome.passed, "seconds": seconds, "faults": faults}


if __name__ == "__main__":
    sys.exit(main())
