"""`make bench`: measure, print tables, keep the figures as JSON in `.bench/results/`."""

import json
import signal
import sys
import time
import traceback
from argparse import SUPPRESS, ArgumentParser, Namespace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from rich.console import Console

from bench import bars, database, jobsite_server, load, machine, page, peers_environment, peers_run
from bench.contenders import Bench
from bench.places import RESULTS
from jobsite.dev.postgres import CannotStart

#: In the order of a whole run; each is a module in bench/scenarios.
SCENARIOS = ("lifecycle", "snapshot", "size", "enqueue", "pickup", "sweep", "growth", "client")


def scenario(name: str) -> ModuleType:
    """The module of a scenario."""
    return import_module(f"bench.scenarios.{name}")


def parser() -> ArgumentParser:
    """The command line."""
    made = ArgumentParser("bench", description="Measure Jobsite beside its peers. Without a scenario: all of them.")
    made.add_argument("--quick", action="store_true", help="a try: a tenth of the jobs, one round; figures mean little")
    made.add_argument("--postgres", default="", metavar="DIR", help="other binaries; `system`: Debian's newest")
    commands = made.add_subparsers(dest="scenario", metavar="SCENARIO")
    for name in SCENARIOS:
        module = scenario(name)
        command = commands.add_parser(name, help=module.ABOUT, description=module.__doc__)
        command.add_argument("--quick", action="store_true", help="a try", default=SUPPRESS)
        module.add_arguments(command)
    writing = commands.add_parser("page", help="write the newest full results into docs/performance.md, with plots")
    writing.add_argument("results", nargs="*", type=Path, help="from these files (default: all in .bench/results)")
    return made


def options_for(name: str, given: Namespace | None) -> Namespace:
    """What was given for a scenario, or its defaults; a tenth of everything for a quick try."""
    if given is not None and given.scenario == name:
        return given
    return parser().parse_args([name])


def smaller(options: Namespace) -> None:
    """A tenth of every count and one round."""
    for key, value in vars(options).items():
        many = value if isinstance(value, list) else [value]
        if key == "repeat":
            options.repeat = 1
        elif all(isinstance(one, int) and not isinstance(one, bool) and one >= 1000 for one in many):
            tenths = [one // 10 for one in many]
            setattr(options, key, tenths if isinstance(value, list) else tenths[0])


def stop(number: int, frame: FrameType | None) -> None:
    """Ctrl-C and a kill end the run by way of every `finally`."""
    raise KeyboardInterrupt


def main() -> int:
    """Run what the command line says. Returns the exit code."""
    given = parser().parse_args()
    signal.signal(signal.SIGTERM, stop)
    try:
        if given.scenario == "page":
            peers_environment.install()
            page.write(given.results)
            return 0
        return 0 if measure(given) else 1
    except (peers_environment.Missing, CannotStart, page.NothingToWrite) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def measure(given: Namespace) -> bool:
    """One scenario, or all of them; whether each came to an end. What was measured is kept, whatever ends the run."""
    console, names = (
        Console(width=None if sys.stdout.isatty() else 140),
        [given.scenario] if given.scenario else SCENARIOS,
    )
    peers_environment.need("wrk", "wrk")
    peers_environment.install()
    server = database.start(given.postgres)
    bench = Bench(server, jobsite_server.make_template(server), bool(given.quick))
    results = {**machine.about(), "quick": bench.quick, "postgresql": server.settings(), "scenarios": {}}
    whole = True
    try:
        for name in names:
            try:
                _measure(bench, name, given, results, console)
            except Exception as error:
                # The other scenarios are worth their time all the same.
                if not isinstance(error, load.Wrong | peers_run.PeerFailed):
                    traceback.print_exc()
                print(f"{name} came to nothing: {error}", file=sys.stderr)
                whole = False
    finally:
        server.drop(jobsite_server.TEMPLATE)
        _keep(results)
    if summary := bars.table(results["scenarios"]):
        summary.show(console)
    return whole


def _measure(bench: Bench, name: str, given: Namespace, results: dict[str, Any], console: Console) -> None:
    options = options_for(name, given)
    # Only what was measured by its defaults may stand in the docs.
    full = not bench.quick and vars(options).items() >= vars(options_for(name, None)).items()
    if bench.quick:
        smaller(options)
    bench.say(f"{name}: {scenario(name).ABOUT}")
    start = time.monotonic()
    result = scenario(name).run(bench, options)
    result |= {"took": time.monotonic() - start, "full": full}
    results["scenarios"][name] = result
    for table in scenario(name).tables(result):
        table.show(console)


def _keep(results: dict[str, Any]) -> None:
    if results["scenarios"]:
        RESULTS.mkdir(parents=True, exist_ok=True)
        path = RESULTS / f"{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
        path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"Kept as {path}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
