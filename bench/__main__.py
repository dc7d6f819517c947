"""Run scenarios (`make bench`): measure, print tables, and store the figures as JSON in `.bench/results/`."""

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

#: In the order of a full run; each is a module in bench/scenarios.
SCENARIOS = (
    "lifecycle", "snapshot", "size", "enqueue", "pickup", "sweep", "growth", "client", "console", "soak",
    "terminated", "lost", "schedules", "limits",
)  # fmt: skip


def scenario(name: str) -> ModuleType:
    """Import the module of a scenario."""
    return import_module(f"bench.scenarios.{name}")


def parser() -> ArgumentParser:
    """Build the command line's parser."""
    root = ArgumentParser("bench", description="Measure Jobsite beside its peers. Without a scenario: all of them.")
    root.add_argument("--quick", action="store_true", help="a try: a tenth of the jobs, one round; figures mean little")
    root.add_argument("--postgres", default="", metavar="DIR", help="other binaries; `system`: Debian's newest")
    commands = root.add_subparsers(dest="scenario", metavar="SCENARIO")
    for name in SCENARIOS:
        module = scenario(name)
        command = commands.add_parser(name, help=module.ABOUT, description=module.__doc__)
        command.add_argument("--quick", action="store_true", help="a try", default=SUPPRESS)
        module.add_arguments(command)
    writing = commands.add_parser("page", help="write the newest full results into the docs, with plots")
    writing.add_argument("results", nargs="*", type=Path, help="from these files (default: all in .bench/results)")
    return root


def options_for(name: str, given: Namespace | None) -> Namespace:
    """Return the options given for a scenario, or its defaults."""
    if given is not None and given.scenario == name:
        return given
    return parser().parse_args([name])


def smaller(options: Namespace) -> None:
    """Reduce every count to a tenth, and the rounds to one."""
    for key, value in vars(options).items():
        values = value if isinstance(value, list) else [value]
        if key == "repeat":
            options.repeat = 1
        elif all(isinstance(n, int) and not isinstance(n, bool) and n >= 1000 for n in values):
            tenths = [n // 10 for n in values]
            setattr(options, key, tenths if isinstance(value, list) else tenths[0])


def stop(number: int, frame: FrameType | None) -> None:
    """End the run through every `finally`, at Ctrl-C and at SIGTERM."""
    raise KeyboardInterrupt


def main() -> int:
    """Run the command line. Returns the exit code."""
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
    """Measure one scenario, or all. Says whether each succeeded. Results are stored, however the run ends."""
    console, names = (
        Console(width=None if sys.stdout.isatty() else 140),
        [given.scenario] if given.scenario else SCENARIOS,
    )
    peers_environment.need("wrk", "wrk")
    peers_environment.install()
    server = database.start(given.postgres)
    bench = Bench(server, jobsite_server.make_template(server), bool(given.quick))
    results = {**machine.about(), "quick": bench.quick, "postgresql": server.settings(), "scenarios": {}}
    succeeded = True
    try:
        for name in names:
            try:
                _measure(bench, name, given, results, console)
            except Exception as error:
                # Go on with the other scenarios.
                if not isinstance(error, load.Wrong | peers_run.PeerFailed):
                    traceback.print_exc()
                print(f"{name} failed: {error}", file=sys.stderr)
                succeeded = False
    finally:
        server.drop(jobsite_server.TEMPLATE)
        _store(results)
    if summary := bars.table(results["scenarios"]):
        summary.show(console)
    return succeeded


def _measure(bench: Bench, name: str, given: Namespace, results: dict[str, Any], console: Console) -> None:
    options = options_for(name, given)
    # The docs have only results of the default options.
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


def _store(results: dict[str, Any]) -> None:
    if results["scenarios"]:
        RESULTS.mkdir(parents=True, exist_ok=True)
        path = RESULTS / f"{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
        path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"Stored as {path}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
