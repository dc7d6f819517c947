"""What limits cost a claim, in pairs: each is measured with and without, in turn, so that a slow moment meets both."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench import jobsite_server
from bench.contenders import Bench
from bench.figures import median
from bench.jobsite_server import KIND
from bench.limits import filling
from bench.pairs import interval

#: Limited kinds that are full beside the kind without limits, and jobs that each has.
OTHERS, JOBS_OF_OTHERS = 20, 1000
#: Bots that call at once, by the size of their claims.
BOTS = {1: 16, 100: 8}
#: As many as any kind may have.
NOT_FULL = 10_000


@dataclass(frozen=True)
class Pair:
    """What is measured against what."""

    key: str
    label: str
    limit: int
    workers: int
    filled: Callable[[Bench, str, int], None]


def _without(bench: Bench, name: str, jobs: int) -> None:
    """Jobs of a kind without limits, and no gate."""
    bench.fill(name, jobs)


def _full_kinds(bench: Bench, name: str, jobs: int) -> None:
    """The same, beside limited kinds that are full, whose bots have died."""
    for n in range(OTHERS):
        filling.limit(bench.server, name, f"full-{n}", max_held=1)
        filling.jobs(bench.server, name, JOBS_OF_OTHERS, f"full-{n}")
    bench.server.run(
        name,
        """
        UPDATE jobs_job j SET status = 'processing', attempt = 1, claimed_by_id = (SELECT max(id) FROM bots_bot),
               claimed_at = now(), started_at = now(), heartbeat_at = now(), deadline_at = now() + interval '1 day'
        WHERE id IN (SELECT min(id) FROM jobs_job GROUP BY kind_id)
        """,
    )
    filling.gates(bench.server, name)
    bench.fill(name, jobs)


def _limited(bench: Bench, name: str, jobs: int) -> None:
    """Jobs of a kind whose limit is never reached."""
    filling.limit(bench.server, name, max_held=NOT_FULL)
    filling.jobs(bench.server, name, jobs)
    filling.gates(bench.server, name)


PAIRS = [
    Pair("beside", "a kind without limits, beside full ones", 1, 1, _full_kinds),
    Pair("beside 100", "the same in batches of 100", 100, 1, _full_kinds),
    Pair("limited", "a limited kind that is not full", 1, 1, _limited),
    Pair("limited 100", "the same in batches of 100", 100, 1, _limited),
    Pair("limited, two", "a limited kind, two web processes", 1, 2, _limited),
    Pair("limited 100, two", "the same in batches of 100", 100, 2, _limited),
]


def measure(bench: Bench, pair: Pair, count: int, jobs: int, batch_jobs: int) -> dict[str, Any]:
    """Measure a pair so many times. `ratios` are with against without; so is `cost`, of processor time.

    On a machine that does other work as well only the cost means something.
    """
    rates: dict[bool, list[float]] = {True: [], False: []}
    costs: dict[bool, list[float]] = {True: [], False: []}
    jobs = jobs if pair.limit == 1 else batch_jobs
    for n in range(count):
        # Who goes first changes, too.
        for limited in (n % 2 == 0, n % 2 == 1):
            speed, spent = _one(bench, pair, pair.filled if limited else _without, jobs)
            rates[limited].append(speed)
            costs[limited].append(spent)
        bench.say(
            f"{pair.label}, pair {n + 1} of {count}: {rates[True][-1] / rates[False][-1]:.3f}, "
            f"cost {costs[True][-1] / costs[False][-1]:.3f}"
        )
    ratios = [ours / theirs for ours, theirs in zip(rates[True], rates[False], strict=True)]
    cost = [ours / theirs for ours, theirs in zip(costs[True], costs[False], strict=True)]
    return {
        "key": pair.key, "label": pair.label, "workers": pair.workers, "with": rates[True], "without": rates[False],
        "ratios": ratios, "ratio": median(ratios), "interval": interval(ratios), "cost": median(cost),
        "cost_interval": interval(cost),
    }  # fmt: skip


def _one(bench: Bench, pair: Pair, fill: Callable[[Bench, str, int], None], jobs: int) -> tuple[float, float]:
    """Jobs per second, and processor time of web processes and database for each job, in microseconds."""
    with bench.server.database("bench_limits", jobsite_server.TEMPLATE) as name:
        fill(bench, name, jobs)
        with jobsite_server.site(bench.server, name, workers=pair.workers) as site:
            done = bench.drive(site, name, bots=BOTS[pair.limit], limit=pair.limit, jobs=jobs)
        # The jobs of the kind that is measured, and no others.
        bench.server.run(name, f"SELECT 1 / (count(*) = {jobs})::integer FROM jobs_job WHERE kind_id = '{KIND}'")
    cores = done["cpu"]["server"] + (done["cpu"]["database"] or 0.0)
    return float(done["rate"]), cores * done["seconds"] / done["jobs"] * 1e6
