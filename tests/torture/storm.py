"""One stage of a storm: load and faults for a while, then quiet, then the checks."""

import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg

from tests.torture import checker, figures, journal, rows
from tests.torture.checker import Evidence, Violation
from tests.torture.faults import Fault
from tests.torture.prepare import OPERATOR, PASSWORD
from tests.torture.processes import EndedByItself
from tests.torture.stage import Stage, new_directory, watched
from tests.torture.story import story
from tests.torture.world import WORK, World

#: A rough count of the operations so far. The true one is from the logs.
_ROUGHLY = "SELECT count(*) + 2 * sum(attempt % 1000000) FROM jobs_job"


@dataclass
class Result:
    """What came of a stage."""

    faults: str
    seed: str
    operations: int = 0
    strikes: int = 0
    seconds: float = 0.0
    #: How often each status was answered; 0: no answer.
    answers: Counter[int] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    #: Of the first violation: the calls and rows of its job.
    story: str = ""


@dataclass(frozen=True)
class Plan:
    """How long a stage lasts: so many operations, or until time is up. `bots`: processes; `most`: jobs of a claim."""

    operations: int
    seconds: float
    bots: int = 6
    most: int = 40
    #: How many jobs are kept pending.
    pending: int = 1200
    #: How long a fault waits until it strikes again, beside its own time.
    pause: float = 0.3


def run(world: World, faults: Sequence[Fault], seed: str, plan: Plan, set_up: Callable[..., Stage] = Stage) -> Result:
    """One stage. The seed decides on the faults' moments and sizes, and on what callers do."""
    # A text gives the same numbers in each process.
    rng = random.Random(f"{seed} {[fault.name for fault in faults]}")
    result = Result(", ".join(fault.name for fault in faults), seed)
    directory = new_directory(WORK)
    began = time.monotonic()
    with world.database() as name:
        stage = set_up(world, name, directory, rng, bots=plan.bots, most=plan.most)
        try:
            stage.start()
            with watched(stage, plan.pending) as busy, _struck(stage, faults, rng, result, plan.pause):
                _wait(stage, plan)
            stage.wanted.write_text("0")
            stage.end_callers()
            result.violations += checker.as_busy_as_they_are(busy)
            result.violations += _quiet(stage)
            _check(stage, result)
        except EndedByItself as error:
            result.violations.append(Violation("ended by itself", str(error)))
        finally:
            stage.end()
    result.seconds = time.monotonic() - began
    if not result.violations:
        shutil.rmtree(directory)
    return result


def report(result: Result) -> str:
    """The violations of a stage, and the story of the first one."""
    found = [f"{violation.rule}: {violation.text}" for violation in result.violations[:20]]
    return "\n".join([f"Seed {result.seed}, {result.faults}. The logs are in {WORK}.", *found, "", result.story])


def _wait(stage: Stage, plan: Plan) -> None:
    """Until enough was done, or time is up."""
    until = time.monotonic() + plan.seconds
    while time.monotonic() < until:
        time.sleep(0.5)
        # A fault may have the database.
        with suppress(psycopg.Error), stage.connect() as connection:
            row = connection.execute(_ROUGHLY.encode()).fetchone()
            if row and (row[0] or 0) >= plan.operations:
                return


@contextmanager
def _struck(stage: Stage, faults: Sequence[Fault], rng: random.Random, result: Result, pause: float) -> Iterator[None]:
    """Strike with each fault, all side by side, again and again. The last strike is healed in the end."""
    over, problems = threading.Event(), list[BaseException]()

    def strike(fault: Fault, own: random.Random) -> None:
        try:
            while not over.wait(own.uniform(0, 2 * pause) * len(faults)):
                # Another fault may have the database, the rows or the server.
                with suppress(psycopg.Error, OSError):
                    fault.strike(stage, own)
                    result.strikes += 1
                    if fault.once:
                        return
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=strike, args=(f, random.Random(rng.random()))) for f in faults]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
    for problem in problems:
        raise problem
    for program in stage.programs:
        program.must_run()


def _quiet(stage: Stage) -> Iterator[Violation]:
    """Nothing calls any more. A sweep ends, and then every figure must be true."""
    stage.swept()
    for loop in [*stage.sweeps, stage.sender]:
        loop.end()
    browser = figures.Browser(stage.port)
    browser.log_in(OPERATOR, PASSWORD)
    with stage.connect() as connection:
        yield from checker.as_busy_as_they_are(rows.not_as_busy(connection))
        yield from figures.metrics(connection, browser.read("/metrics"))
        yield from figures.home(connection, browser.read("/admin/"))


def _check(stage: Stage, result: Result) -> None:
    """Compare the logs with the rows."""
    calls = journal.read(stage.logs(), stage.restores)
    with stage.connect() as connection:
        evidence = Evidence(calls, journal.facts(calls), rows.read(connection), OPERATOR)
    result.operations = journal.operations(calls.calls)
    result.answers = Counter(call.status for call in calls.calls)
    result.violations += checker.check(evidence)
    first = next((violation for violation in result.violations if violation.job is not None), None)
    if first is not None and first.job is not None:
        result.story = story(evidence, first.job)


@contextmanager
def receiver() -> Iterator[str]:
    """Receives notifications, and yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def stages(
    world: World, groups: Sequence[Sequence[Fault]], seed: str, plan: Plan, *, say: Callable[[str], None]
) -> Iterator[Result]:
    """Each group of faults after the other. Ends after the first stage with a violation."""
    for group in groups:
        possible = [fault for fault in group if not fault.cannot(world)]
        for fault in group:
            if fault not in possible:
                say(f"{fault.name}: left out, because {fault.cannot(world)}")
        if not possible:
            continue
        result = run(world, possible, seed, plan)
        yield result
        if result.violations:
            return
