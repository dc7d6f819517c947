"""Generate load with wrk and a script for bots. Each thread is one connection and one bot."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import psutil

from bench import programs
from bench.figures import rate
from bench.peers_environment import need
from bench.places import HERE

LUA = HERE / "lua"
#: Seconds after which a run until nothing is left is stopped.
TIMEOUT = 240


class Wrong(RuntimeError):
    """A measurement that is not valid; the message says why."""


@dataclass
class Load:
    """The bots' counts. Times are in seconds by the monotonic clock; latencies are of calls, in seconds."""

    first: float = 0.0
    last: float = 0.0
    jobs: int = 0
    calls: int = 0
    wrong: int = 0
    #: Calls answered with 503, by bots that send them again.
    unavailable: int = 0
    #: How many answers had how many jobs in them.
    sizes: dict[int, int] = field(default_factory=dict)
    #: Jobs accepted in each second from the start.
    seconds: list[int] = field(default_factory=list)
    latencies: dict[float, float] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    network: int = 0
    #: Each call: when it was sent, and how long it took.
    trace: list[tuple[float, float]] = field(default_factory=list)
    #: Seconds of CPU that the load itself used.
    cpu: float = 0.0

    @property
    def time(self) -> float:
        """The seconds from the first call to the last accepted job."""
        return self.last - self.first

    @property
    def rate(self) -> float:
        """Jobs per second, claimed and completed."""
        return rate(self.jobs, self.time)


def parse(text: str) -> Load:
    """Parse what the bots print at their end; see `done` in lua/bot.lua."""
    load = Load()
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "bot":
            first, last, jobs, calls, wrong = rest.split()
            if float(first):
                load.first = min(load.first or float(first), float(first))
            load.last = max(load.last, float(last))
            load.jobs += int(jobs)
            load.calls += int(calls)
            load.wrong += int(wrong)
        elif word == "unavailable":
            load.unavailable += int(rest)
        elif word == "size":
            size, count = map(int, rest.split())
            load.sizes[size] = load.sizes.get(size, 0) + count
        elif word == "second":
            second, count = map(int, rest.split())
            load.seconds += [0] * (second - len(load.seconds))
            load.seconds[second - 1] += count
        elif word == "latency":
            share, value = map(float, rest.split())
            load.latencies[share] = value
        elif word == "call":
            at, took = map(float, rest.split())
            load.trace.append((at, took))
        elif word == "network":
            load.network = sum(map(int, rest.split()))
        elif word == "complaint":
            load.complaints.append(rest)
    return load


def drive(
    url: str,
    script: str,
    tokens: Sequence[str],
    *,
    limit: int,
    jobs: int | None = None,
    seconds: float | None = None,
    trace: bool = False,
    until: threading.Event | None = None,
    pause: int = 0,
    lose: int = 0,
) -> Load:
    """Run a bot for each token until nothing is left, or they did `jobs`, or for `seconds`, or until `until`.

    Each waits for `pause` milliseconds between two calls, half as many to one and a half times as many. With `lose`
    they never report one job in so many.
    With `trace` the result has the time and duration of every call. Wrong when any call failed.
    """
    bots = str(len(tokens))
    environment = {
        "BENCH_TOKENS": " ".join(tokens),
        "BENCH_LIMIT": str(limit),
        # A bot stops after this number of empty answers in a row: other bots may have locked the rows.
        "BENCH_PATIENCE": str(5 if seconds is None else 10**9),
        "BENCH_JOBS": str(-(-jobs // len(tokens)) if jobs else 10**12),
        "BENCH_TRACE": "1" if trace else "",
        "BENCH_PAUSE": str(pause),
        "BENCH_LOSE": str(lose),
        "BENCH_LUA": str(LUA),
    }
    command = [need("wrk", "wrk"), "-t", bots, "-c", bots, "-d", "3600s", "--timeout", "60s", "-s"]
    process = programs.start(
        [*command, str(LUA / f"{script}.lua"), url],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output: list[str] = []
    all_finished = threading.Event()

    def listen() -> None:
        finished = 0
        for line in process.stdout or ():
            output.append(line)
            finished += line.startswith("finished")
            if finished == len(tokens):
                all_finished.set()
        all_finished.set()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        over = time.monotonic() + (seconds or TIMEOUT)
        while not all_finished.wait(0.05) and time.monotonic() < over and not (until and until.is_set()):
            pass
        used = psutil.Process(process.pid).cpu_times() if process.poll() is None else None
        in_time = all_finished.is_set()
        # wrk would run until its time is over. SIGINT ends it.
        process.send_signal(signal.SIGINT)
        listener.join(30)
    finally:
        programs.stop(process, 0)
    if not in_time and seconds is None:
        raise Wrong(f"The bots were not done after {TIMEOUT} s. See .bench/logs/jobsite.log.")
    load = parse("".join(output))
    load.cpu = used.user + used.system if used else 0.0
    if load.wrong or load.network or not load.calls:
        complaints = load.complaints or ["".join(output)[-500:]]
        raise Wrong(f"{load.wrong} of {load.calls} calls failed, {load.network} by the network: {complaints[0]}")
    return load
