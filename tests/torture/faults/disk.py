"""Fill the disk that PostgreSQL's data and log are on."""

import os
import random
import time
from contextlib import suppress

from tests.torture.stage import Stage
from tests.torture.world import World


def cannot(world: World) -> str:
    return "" if world.small else "this user may not mount a small disk"


def full(stage: Stage, rng: random.Random) -> None:
    """Tables cannot grow then. PostgreSQL ends by itself when its log cannot; it is started again with space."""
    filling = stage.world.directory / "filling"
    try:
        with filling.open("wb") as file:
            for size in (1 << 20, 1 << 12):
                with suppress(OSError):
                    while True:
                        os.write(file.fileno(), b"\x01" * size)
        time.sleep(rng.uniform(1, 4))
    finally:
        filling.unlink(missing_ok=True)
        stage.world.start()
    time.sleep(rng.uniform(2, 4))
