"""`make torture`: each fault alone and all of them mixed, from a printed seed. Exit code 1 at the first violation."""

import logging
import secrets
import signal
import sys
from argparse import ArgumentParser, Namespace
from types import FrameType

from rich.console import Console

from bench.tables import Table
from tests.torture.faults import FAULTS
from tests.torture.storm import Plan, Result, receiver, report, stages
from tests.torture.world import world

COLUMNS = ["fault", "strikes", "operations", "200, 201", "400–429", "503", "no answer", "violations", "seconds"]


def parser() -> ArgumentParser:
    """The command line's."""
    root = ArgumentParser("torture", description=__doc__)
    root.add_argument("--seed", default="", help="of an earlier run (default: a new one, which is printed)")
    root.add_argument("--fault", nargs="*", choices=list(FAULTS), default=[], help="only these, each alone")
    root.add_argument("--mix", nargs="*", choices=list(FAULTS), default=[], help="only these, all at once")
    root.add_argument("--operations", type=int, default=1_000_000, help="in all (default: %(default)s)")
    root.add_argument("--minutes", type=float, default=60, help="at most, in all (default: %(default)s)")
    root.add_argument("--bots", type=int, default=6, help="processes of bots, 12 at most (default: %(default)s)")
    root.add_argument("--most", type=int, default=40, help="jobs of a claim, at most (default: %(default)s)")
    return root


def stop(number: int, frame: FrameType | None) -> None:
    """End the run through every `finally`, at Ctrl-C and at SIGTERM."""
    raise KeyboardInterrupt


def main(options: Namespace) -> int:
    """Run the storm, print the table. Returns the exit code."""
    signal.signal(signal.SIGTERM, stop)
    # Connections break here on purpose.
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)
    seed = options.seed or str(secrets.randbelow(10**9))
    print(f"Seed {seed}.", flush=True)
    names = options.fault or options.mix or list(FAULTS)
    chosen, mixed = [FAULTS[name] for name in names], not options.fault
    n = 1 if options.mix else len(chosen) + mixed
    plan = Plan(options.operations // n, options.minutes * 60 / n, options.bots, options.most)
    results = []
    with receiver() as address, world(settings="jobsite.settings", disk=True) as there:
        there.prepare(address)
        alone = [] if options.mix else [[fault] for fault in chosen]
        groups = [*alone, [fault for fault in chosen if not fault.alone]] if mixed else alone
        for result in stages(there, groups, seed, plan, say=print):
            results.append(result)
            print(f"{result.faults}: {result.operations} operations, {len(result.violations)} violations", flush=True)
    table(results).show(Console(width=None if sys.stdout.isatty() else 140))
    for result in results:
        if result.violations:
            print(report(result))
            return 1
    return 0


def table(results: list[Result]) -> Table:
    """A row for each stage, and the sum."""
    rows = [_row(result.faults if "," not in result.faults else "mixed", [result]) for result in results]
    return Table("The storm", COLUMNS, [*rows, _row("all", results)])


def _row(name: str, of: list[Result]) -> list[str]:
    def answered(first: int, last: int) -> int:
        return sum(n for result in of for status, n in result.answers.items() if first <= status <= last)

    numbers = [
        sum(result.strikes for result in of), sum(result.operations for result in of), answered(200, 299),
        answered(400, 499), answered(503, 503), answered(0, 0), sum(len(result.violations) for result in of),
    ]  # fmt: skip
    return [
        name,
        *(f"{number:,}".replace(",", " ") for number in numbers),
        f"{sum(result.seconds for result in of):.0f}",
    ]


if __name__ == "__main__":
    sys.exit(main(parser().parse_args()))
