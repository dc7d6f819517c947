"""Define the targets of Jobsite: against something measured in the same run on the same machine, or absolute."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.figures import figure, ratio
from bench.scenarios import lifecycle
from bench.tables import Table

Results = dict[str, Any]


@dataclass(frozen=True)
class Bar:
    """One target. `reached` takes the scenario's result; None when what it needs was not measured."""

    text: str
    scenario: str
    bound: float
    reached: Callable[[Any], float | None]
    unit: str = "×"
    #: Whether `bound` is an upper bound.
    most: bool = False

    def met(self, value: float) -> bool:
        """Say whether a value meets the target."""
        return value <= self.bound if self.most else value >= self.bound


def _single(result: Any) -> float | None:
    ours = lifecycle.best(result, "jobsite", "single", 1)
    return ratio(ours, lifecycle.best(result, "graphile-worker", "single"))


def _batch(result: Any) -> float | None:
    ours = lifecycle.best(result, "jobsite", "batch", 100)
    return ratio(ours, lifecycle.best(result, "graphile-worker", "batch"))


def _overhead(result: Any) -> float | None:
    ours = lifecycle.best(result, "jobsite", "batch", 100)
    return ratio(ours, lifecycle.best(result, "psycopg", "batch", 100))


def _ratio(key: str) -> Callable[[Any], float | None]:
    return lambda result: result["ratios"].get(key)


def _pickup(share: str) -> Callable[[Any], float | None]:
    # Bots that were turned away did not wait, so the figure would not be a pickup time.
    def reached(result: Any) -> float | None:
        value = result["from_answer"][share]
        return None if value is None or result["arrived"] < result["jobs"] else value * 1000

    return reached


def _on_time(count: int) -> Callable[[Any], float | None]:
    def reached(result: Any) -> float | None:
        rows = [row for row in result["rows"] if row["schedules"] == row["jobs"] == count]
        return rows[0]["p99"] if rows else None

    return reached


def _limited(key: str) -> Callable[[Any], float | None]:
    return lambda result: next((row["ratio"] for row in result.get("pairs", []) if row["key"] == key), None)


def _longest_claim(result: Any) -> float | None:
    return max((row["p99"] * 1000 for row in result.get("groups", [])), default=None)


def _full_group(result: Any) -> float | None:
    rows = result.get("full_group", [])
    without = {row["asking"]: row["p99"] for row in rows if not row["jobs"]}
    return max((row["p99"] / without[row["asking"]] for row in rows if row["jobs"]), default=None)


def _slowdown(result: Any) -> float | None:
    return ratio(result["with"]["p99"], result["without"]["p99"])


BARS = [
    Bar("One job at a time over HTTP, against graphile-worker one at a time", "lifecycle", 0.9, _single),
    Bar("Batches of 100 over HTTP, against graphile-worker with its local queue", "lifecycle", 1.5, _batch),
    Bar("Batches of 100 over HTTP, against raw psycopg with the same statements", "lifecycle", 0.75, _overhead),
    Bar("A snapshot held open for 500 000 jobs, against without", "snapshot", 0.8, _ratio("batch")),
    Bar("10 million finished rows, against an empty table", "size", 0.9, _ratio("finished")),
    Bar("Bulk enqueue, against the best peer", "enqueue", 2.0, _ratio("best peer")),
    Bar("Idle pickup with 1 000 bots waiting, median", "pickup", 5, _pickup("p50"), "ms", most=True),
    Bar("Idle pickup with 1 000 bots waiting, 99th percentile", "pickup", 25, _pickup("p99"), "ms", most=True),
    Bar("A sweep of 20 000 due jobs among 100 000 held", "sweep", 3, lambda r: r["seconds"], "s", most=True),
    Bar(
        "All connections to the database ended every 2 s, against undisturbed", "terminated", 0.5, lambda r: r["ratio"]
    ),
    Bar(
        "Calls of bots that lose 1 job in 200, median, against undisturbed", "lost", 1.2, lambda r: r["p50"], most=True
    ),
    Bar("The same, 99th percentile", "lost", 1.2, lambda r: r["p99"], most=True),
    Bar("99th percentile of 8 claiming bots during it, against before", "sweep", 2, _slowdown, most=True),
    Bar("The slowest page or list call", "console", 200, lambda r: r["slowest"] * 1000, "ms", most=True),
    Bar("The most that a page or list call asks", "console", 15, lambda r: r.get("queries"), "queries", most=True),
    Bar("100 schedules at the same moment, 99th percentile", "schedules", 1, _on_time(100), "s", most=True),
    Bar("1 000 schedules at the same moment, 99th percentile", "schedules", 5, _on_time(1000), "s", most=True),
    Bar("Jobs of kinds without limits, against without any gate", "limits", 0.97, _limited("beside")),
    Bar("A limited kind that is not full, against without limits", "limits", 0.8, _limited("limited")),
    Bar("A claim where 9 999 of 10 000 groups are full, 99 %", "limits", 10, _longest_claim, "ms", most=True),
    Bar("A claim beside 100 000 jobs of a full group, 99 %", "limits", 2, _full_group, most=True),
]


def table(results: Results) -> Table | None:
    """Tabulate every target whose scenario was measured; None when there is none."""
    rows = []
    for bar in BARS:
        if bar.scenario in results:
            value = bar.reached(results[bar.scenario])
            verdict = "not measured" if value is None else "met" if bar.met(value) else "not met"
            bound = f"at {'most' if bar.most else 'least'} {bar.bound:g} {bar.unit}"
            rows.append([bar.text, bound, "–" if value is None else f"{figure(value)} {bar.unit}", verdict])
    return Table("Targets", ["what", "target", "reached", ""], rows) if rows else None
