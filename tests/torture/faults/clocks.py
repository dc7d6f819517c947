"""Give programs a wrong clock, by minutes and by hours, from their next start on. The database keeps its own."""

import random
import time

from tests.torture.processes import can_be_wrong
from tests.torture.stage import Stage
from tests.torture.world import World


def cannot(world: World) -> str:
    return "" if can_be_wrong() else "there is no libfaketime (Debian's package faketime)"


def wrong(stage: Stage, rng: random.Random) -> None:
    """Start a program again with a clock that is ahead, or behind."""
    program = rng.choice([stage.web, stage.web, stage.sweeps[0], stage.sender, *stage.bots])
    pause = rng.uniform(3, 6) if program is stage.web else rng.uniform(0.2, 1)
    program.off = rng.choice([-1, 1]) * rng.choice([rng.randint(60, 600), rng.randint(3600, 6 * 3600)])
    with stage.changing:
        program.must_run()
        program.kill()
        if program is stage.web:
            stage.start_web()
        program.start()
    time.sleep(pause)
