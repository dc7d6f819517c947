"""Restore the database to an earlier moment, by pg_dump and pg_restore, while bots hold jobs and go on reporting."""

import os
import random
import subprocess
import sys
import time

from tests.torture.journal import Lost
from tests.torture.processes import ROOT
from tests.torture.stage import Stage


def restore(stage: Stage, rng: random.Random) -> None:
    """As the docs say: the web servers are down, then `after_restore`, then they start."""
    time.sleep(rng.uniform(1, 2))
    since = time.monotonic()
    dump = stage.directory / "dump"
    stage.world.tool("pg_dump", "--format=custom", "--file", str(dump), stage.name)
    time.sleep(rng.uniform(1, 3))
    loops = [*stage.sweeps, stage.sender]
    for program in [stage.web, *loops]:
        program.kill()
    stage.world.run(f"DROP DATABASE {stage.name} WITH (FORCE)", f"CREATE DATABASE {stage.name} TEMPLATE template0")
    stage.world.tool("pg_restore", "--exit-on-error", "--dbname", stage.name, str(dump))
    command = [sys.executable, "manage.py", "after_restore"]
    subprocess.run(command, env=os.environ | stage.environment, cwd=ROOT, check=True, capture_output=True)
    stage.restores.append(Lost(since, time.monotonic()))
    stage.start_web()
    for program in loops:
        program.start()
    time.sleep(rng.uniform(2, 4))
