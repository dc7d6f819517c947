"""The bars: what Jobsite must reach, as multiples of something measured in the same run on the same machine."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.figures import ratio
from bench.scenarios import lifecycle
from bench.tables import Table

Results = dict[str, Any]


@dataclass(frozen=True)
class Bar:
    """One bar. `reached` takes the results by scenario; None when what it needs was not measured."""

    text: str
    scenario: str
    least: float
    reached: Callable[[Any], float | None]


def _single(result: Any) -> float | None:
    ours = lifecycle.best(result, "jobsite", "single", 1)
    return ratio(ours, lifecycle.best(result, "graphile-worker", "single"))


def _batch(result: Any) -> float | None:
    ours = lifecycle.best(result, "jobsite", "batch", 100)
    return ratio(ours, lifecycle.best(result, "graphile-worker", "batch"))


def _overhead(result: Any) -> float | None:
    ours = lifecycle.best(result, "jobsite", "batch", 100)
    return ratio(ours, lifecycle.best(result, "psycopg", "batch", 100))


def _kept(key: str) -> Callable[[Any], float | None]:
    return lambda result: result.get("ratios", {}).get(key)


BARS = [
    Bar("One job at a time over HTTP, against graphile-worker one at a time", "lifecycle", 0.9, _single),
    Bar("Batches of 100 over HTTP, against graphile-worker with its local queue", "lifecycle", 1.5, _batch),
    Bar("Batches of 100 over HTTP, against raw psycopg with the same statements", "lifecycle", 0.75, _overhead),
    Bar("A snapshot held open for 500 000 jobs, against without", "snapshot", 0.8, _kept("batch")),
    Bar("10 million finished rows, against an empty table", "size", 0.9, _kept("finished")),
    Bar("Bulk enqueue, against the best peer", "enqueue", 2.0, _kept("best peer")),
]


def table(results: Results) -> Table:
    """Every bar whose scenario was measured."""
    rows = []
    for bar in BARS:
        if bar.scenario in results:
            reached = bar.reached(results[bar.scenario])
            verdict = "–" if reached is None else "met" if reached >= bar.least else "not met"
            rows.append([bar.text, f"{bar.least:g} ×", "–" if reached is None else f"{reached:.2f} ×", verdict])
    return Table("The bars", ["what", "at least", "reached", ""], rows)
