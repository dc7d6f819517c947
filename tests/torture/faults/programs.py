"""Kill and stop programs. What was killed is started again at once, or by the server itself."""

import random
import signal
import time
from contextlib import suppress

import psutil

from tests.torture.processes import Program
from tests.torture.stage import Stage

#: Seconds within which a second failure of a web process is a loop for granian.
LOOP = 6.5


def calm(stage: Stage, rng: random.Random) -> None:
    time.sleep(0.5)


def kill_bots(stage: Stage, rng: random.Random) -> None:
    for bot in rng.sample(stage.bots, rng.randint(1, 2)):
        _again(stage, bot)
    time.sleep(rng.uniform(0.1, 0.5))


def stop_bots(stage: Stage, rng: random.Random) -> None:
    """For longer than the sweep gives them, or only for a moment."""
    _stop(rng.sample(stage.bots, rng.randint(1, 2)), rng.uniform(0.5, 5))


def kill_web(stage: Stage, rng: random.Random) -> None:
    """The server starts it again by itself. One that fails again so soon ends it, and systemd starts it then."""
    if stage.web.off:
        # Before it starts one it calls `time.sleep`, which fails under a wrong clock of libfaketime.
        time.sleep(0.5)
        return
    _one_of_web(stage, rng, signal.SIGKILL)
    time.sleep(LOOP)


def kill_server(stage: Stage, rng: random.Random) -> None:
    with stage.changing:
        stage.web.kill()
        time.sleep(rng.uniform(0, 0.5))
        stage.start_web()
    time.sleep(rng.uniform(3, 6))


def stop_web(stage: Stage, rng: random.Random) -> None:
    stopped = _one_of_web(stage, rng, signal.SIGSTOP)
    time.sleep(rng.uniform(0.2, 2))
    if stopped is not None:
        with suppress(psutil.Error):
            stopped.send_signal(signal.SIGCONT)
    time.sleep(rng.uniform(0.1, 0.5))


def kill_sweep(stage: Stage, rng: random.Random) -> None:
    _again(stage, stage.sweeps[0])
    time.sleep(rng.uniform(1, 3))


def stop_sweep(stage: Stage, rng: random.Random) -> None:
    _stop(stage.sweeps, rng.uniform(0.5, 3))


def kill_sender(stage: Stage, rng: random.Random) -> None:
    _again(stage, stage.sender)
    time.sleep(rng.uniform(1, 3))


def stop_sender(stage: Stage, rng: random.Random) -> None:
    _stop([stage.sender], rng.uniform(0.5, 3))


def four_sweeps(stage: Stage, rng: random.Random) -> None:
    """Three more than there is, which are ended as cron's would be: in the middle."""
    more = [stage.sweep(f"sweep-{n}") for n in range(3)]
    try:
        for sweep in more:
            sweep.start()
        time.sleep(rng.uniform(4, 6))
        for sweep in more:
            sweep.must_run()
    finally:
        for sweep in more:
            sweep.end() if rng.random() < 0.5 else sweep.kill()


def _again(stage: Stage, program: Program) -> None:
    with stage.changing:
        program.must_run()
        program.kill()
        program.start()


def _stop(chosen: list[Program], seconds: float) -> None:
    try:
        for program in chosen:
            program.signal(signal.SIGSTOP)
        time.sleep(seconds)
    finally:
        for program in chosen:
            program.signal(signal.SIGCONT)
    time.sleep(0.2)


def _one_of_web(stage: Stage, rng: random.Random, number: int) -> psutil.Process | None:
    processes = stage.web.children()
    if not processes:
        return None
    chosen = rng.choice(processes)
    with suppress(psutil.Error):
        chosen.send_signal(number)
    return chosen
