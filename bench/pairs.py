"""Compare this checkout with another one: `python -m bench.pairs DIR`.

Both run the same load in turn, each by its own bench, code and database; what counts is the ratio within each pair.
"""

import json
import os
import subprocess
import sys
from argparse import ArgumentParser
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from bench.figures import figure, median
from bench.load import Wrong
from bench.scenarios.lifecycle import BOTS
from bench.tables import Table


def main() -> None:
    """Measure, and print the median of the ratios with its interval for each size of a claim."""
    parser = ArgumentParser("bench.pairs", description=__doc__)
    parser.add_argument("against", type=Path, metavar="DIR", help="the other checkout, with a .venv of its own")
    parser.add_argument("--pairs", type=int, default=10, help="pairs of measurements (default: %(default)s)")
    parser.add_argument("--limits", nargs="+", type=int, default=[1, 100, 500], help="sizes of the claims")
    parser.add_argument("--jobs", type=int, default=60_000, help="jobs one at a time (default: %(default)s)")
    parser.add_argument("--batch-jobs", type=int, default=600_000, help="jobs in batches (default: %(default)s)")
    options = parser.parse_args()
    rows = [Row(limit) for limit in options.limits]
    for pair in range(options.pairs):
        for row in rows:
            jobs = options.jobs if row.limit == 1 else options.batch_jobs
            sides = [(row.here, Path.cwd()), (row.there, options.against)]
            # Who goes first changes from pair to pair, so that a machine that slows down favours nobody.
            for rates, checkout in sides if pair % 2 == 0 else reversed(sides):
                rates.append(_measure(checkout.resolve(), row.limit, jobs))
            print(f"pair {pair + 1} of {options.pairs}, limit {row.limit}: {row.ratios[-1]:.3f}", flush=True)
    table(rows).show(Console(width=None if sys.stdout.isatty() else 140))


@dataclass
class Row:
    """One size of a claim, with the rates of both sides, pair by pair."""

    limit: int
    here: list[float] = field(default_factory=list)
    there: list[float] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        return [here / there for here, there in zip(self.here, self.there, strict=True)]


def _measure(checkout: Path, limit: int, jobs: int) -> float:
    """Jobs per second of one run of that checkout's own bench, by its own code on a database of its own."""
    before = set(_results(checkout))
    command = [
        str(checkout / ".venv/bin/python"), "-m", "bench", "lifecycle", "--only", "jobsite", "--repeat", "1",
        "--limits", str(limit), "--jobs", str(jobs), "--batch-jobs", str(jobs), "--bots", str(BOTS.get(limit, 8)),
    ]  # fmt: skip
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=checkout, env=environ, capture_output=True, text=True, check=False)
    kept = set(_results(checkout)) - before
    if done.returncode or len(kept) != 1:
        raise Wrong(f"{checkout} could not be measured:\n{done.stderr[-2000:]}")
    (path,) = kept
    rate: float = json.loads(path.read_text(encoding="utf-8"))["scenarios"]["lifecycle"]["rows"][0]["rate"]
    return rate


def _results(checkout: Path) -> list[Path]:
    return sorted((checkout / ".bench" / "results").glob("*.json"))


def interval(ratios: list[float]) -> tuple[float, float]:
    """Between which of the ratios the median of all such pairs lies, 19 times of 20 (by the ranks of a binomial).

    W. J. Conover, "Practical Nonparametric Statistics", 3rd edition, section 3.2. For ten: the second and the ninth.
    """
    ordered = sorted(ratios)
    cut = max(0, round(len(ordered) / 2 - 0.98 * len(ordered) ** 0.5) - 1)
    return ordered[cut], ordered[-1 - cut]


def table(rows: list[Row]) -> Table:
    """One row for each size of a claim."""
    shown = []
    for row in rows:
        low, high = interval(row.ratios)
        rates = [figure(median(row.here)), figure(median(row.there))]
        shown.append(
            [str(row.limit), *rates, f"{median(row.ratios):.3f}", f"{low:.3f} to {high:.3f}", str(len(row.here))]
        )
    columns = ["limit", "here, jobs/s", "there, jobs/s", "median of the ratios", "95 % interval", "pairs"]
    return Table("This checkout beside the other", columns, shown, [])


if __name__ == "__main__":
    main()
