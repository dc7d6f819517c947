"""One scenario with one bot: the server, the process, and what was wrong."""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .calls import Call
from .process import Process
from .queue import SLEEP, Job, Lease
from .rules import RULES, UNDER_WAY, check, unfinished
from .server import Server
from .work import Work

# Seconds for what should happen at once, on a machine that has much to do.
SOON = 10.0
# Seconds from SIGTERM to the end of the process.
END_WITHIN = 10.0


@dataclass(frozen=True)
class Fault:
    """A rule that was broken, and how."""

    rule: str
    sentence: str


@dataclass
class Outcome:
    """What came of a scenario."""

    name: str
    faults: list[Fault] = field(default_factory=list)
    seconds: float = 0.0
    calls: list[Call] = field(default_factory=list)
    output: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.faults


class Stopped(Exception):
    """The scenario cannot go on; the faults say why."""


@dataclass(frozen=True)
class Scenario:
    """Something that happens to the bot."""

    name: str
    about: str
    play: Callable[["Trial"], None]


class Trial:
    """A scenario's stage: add jobs, wait for what the bot does, and blame it."""

    def __init__(self, server: Server, process: Process, work: Work) -> None:
        self.server = server
        self.queue = server.queue
        self.process = process
        self.work = work
        self.faults: list[Fault] = []

    # --- Blame ----------------------------------------------------------------------------------------------------

    def blame(self, rule: str, sentence: str) -> None:
        """Note that a rule was broken."""
        if rule not in RULES:
            raise KeyError(rule)
        fault = Fault(rule, sentence)
        if fault not in self.faults:
            self.faults.append(fault)

    def expect(self, condition: bool, rule: str, sentence: str) -> None:
        """Blame the bot if the condition does not hold."""
        if not condition:
            self.blame(rule, sentence)

    def need(self, condition: bool, rule: str, sentence: str) -> None:
        """Blame the bot and end the scenario if the condition does not hold."""
        if not condition:
            self.blame(rule, sentence)
            raise Stopped

    # --- Jobs -----------------------------------------------------------------------------------------------------

    def sleep_job(self, seconds: float) -> Job:
        """Enqueue a job that takes so long."""
        return self.server.add(SLEEP, {"seconds": seconds, "file": str(self.work.path)})

    def wait(self, seconds: float, condition: Callable[[], bool]) -> bool:
        """Wait for a condition, or for the bot's end. Returns whether it holds."""
        self.server.wait(seconds, lambda: condition() or self.process.ended)
        return condition()

    def wait_until_begun(self, job: Job, rule: str = "goes-on") -> Lease:
        """Wait until a handler works on the job, and return the lease."""
        begun = self.wait(SOON, lambda: self.work.begun((job.id, job.attempt)) > 0)
        where = f"Nobody wrote the line `begin {job.id} {job.attempt}` to the file of {job} within {SOON:g} s."
        self.need(begun, rule, self._how_it_ended() or (where if job.given else unfinished(job, SOON)))
        return job.id, job.attempt

    def wait_until_finished(self, job: Job, rule: str = "every-end-reported", within: float = SOON) -> None:
        """Wait until its end is reported."""
        finished = self.wait(within, lambda: job.finished)
        self.need(finished, rule, self._how_it_ended() or unfinished(job, within))

    def expect_succeeded(self, job: Job, result: Any, rule: str = "every-end-reported") -> None:
        """Blame the bot if the job has not succeeded with this result."""
        self.expect(job.status == "succeeded", rule, f"{job} should have succeeded and is {job.status}. {job.error}")
        if job.status == "succeeded":
            self.expect(job.result == result, rule, f"The result of {job} is {job.result!r}, and not {result!r}.")

    def expect_stopped(self, lease: Lease, since: float, within: float) -> None:
        """Blame the bot if a handler still works on the lease so long after it was lost."""
        self.wait(since + within + 0.7 - self.server.now(), lambda: False)
        last = self.work.last(lease)
        self.expect(
            last is None or last <= since + within,
            "stops-when-lost",
            f"The handler of job {lease[0]}, attempt {lease[1]}, still worked {within:g} s after the lease was lost.",
        )

    # --- The process ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the bot and wait for its first call."""
        before = len(self.server.calls)
        self.process.start()
        called = self.wait(SOON, lambda: len(self.server.calls) > before)
        self.need(called, "hello-first", self._how_it_ended() or f"The bot made no call within {SOON:g} s.")

    def start_again(self) -> None:
        """Start it as a supervisor does, and check that its instance is another one and its identity the same."""
        before = self._hellos()
        self.start()
        self.wait(SOON, lambda: len(self._hellos()) > len(before))
        for call in self._hellos()[len(before) :]:
            self.expect(
                call.body["instance"] not in {one.body["instance"] for one in before},
                "hello-first",
                f"The bot was started again, and its instance ID is {call.body['instance']!r}, as before.",
            )
            alone = [one.body.get("identity", one.body.get("alone", True)) for one in (before[-1], call)]
            words = "The bot was started again with another identity, so its earlier jobs stay with the dead process."
            self.expect(alone[0] == alone[1] and alone[1] is not False, "identity-stays", words)

    def _hellos(self) -> list[Call]:
        return [call for call in self.server.calls if call.sort == "hello" and call.status == 200]

    def expect_to_run(self) -> None:
        """Blame the bot if its process has ended."""
        self.need(not self.process.ended, "goes-on", self._how_it_ended())

    def _how_it_ended(self) -> str:
        if not self.process.ended:
            return ""
        return f"The process ended with exit code {self.process.exit_code}, and nobody had asked it to."

    def terminate(self) -> None:
        """Send SIGTERM, and check how the bot ends."""
        at = self.server.now()
        self.process.terminate()
        if not self.process.ended_within(END_WITHIN):
            self.blame("sigterm-in-time", f"The process still ran {END_WITHIN:g} s after SIGTERM.")
            self.process.kill()
        late = [c for c in self.server.calls if c.claim is not None and c.at > at + UNDER_WAY]
        self.expect(not late, "sigterm-claims-nothing", "The bot claimed after SIGTERM.")
        for job in self.queue.held():
            last = f"The process ended and still holds {job}, attempt {job.attempt}."
            self.blame("sigterm-holds-nothing", last)


def run(scenario: Scenario, command: Sequence[str]) -> Outcome:
    """Play a scenario with the bot that this command starts."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="jobsite-conformance-") as directory, Server() as server:
        process = Process(command, server.url, server.token, Path(directory) / "output")
        work = Work(Path(directory) / "work", server.now)
        trial = Trial(server, process, work)
        try:
            _play(scenario, trial)
        finally:
            process.kill()
            work.close()
            output = process.last_lines()
        for rule, sentence in check(server.calls, server.queue):
            trial.blame(rule, sentence)
        for job, attempt in sorted(work.leases()):
            if (times := work.begun((job, attempt))) > 1:
                trial.blame("once-a-lease", f"Work on job {job}, attempt {attempt}, began {times} times.")
        for line in work.wrong[:1]:
            trial.blame("every-end-reported", f"The file of a conformance.sleep job has the line {line!r}.")
        return Outcome(scenario.name, trial.faults, time.monotonic() - began, list(server.calls), output)


def _play(scenario: Scenario, trial: Trial) -> None:
    try:
        trial.start()
        scenario.play(trial)
        if not trial.process.ended:
            trial.terminate()
    except Stopped:
        pass
    except FileNotFoundError as error:
        trial.blame("hello-first", f"The command cannot be started: {error}.")
