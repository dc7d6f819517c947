"""What is done to the programs, the network and the database. A strike is one time of it, and heals what it did."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.torture.faults import clocks, database, disk, network, programs, restore
from tests.torture.stage import Stage
from tests.torture.world import World

Strike = Callable[[Stage, random.Random], None]


def _always(world: World) -> str:
    return ""


@dataclass(frozen=True)
class Fault:
    """A fault, what it is in a line, and one strike of it.

    `quick`: it is part of the storm that `make test` runs. `once`: a stage has one strike, and not as many as there is
    time for. `alone`: it cannot be mixed with others. `cannot`: why it is impossible on this machine, or nothing.
    """

    name: str
    about: str
    strike: Strike
    quick: bool = False
    once: bool = False
    alone: bool = False
    cannot: Callable[[World], str] = _always


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("calm", "nothing is done", programs.calm),
        Fault("kill-bots", "SIGKILL of bots", programs.kill_bots, quick=True),
        Fault("stop-bots", "SIGSTOP of bots, until their jobs have expired", programs.stop_bots, quick=True),
        Fault("kill-web", "SIGKILL of a web process", programs.kill_web),
        Fault("kill-server", "SIGKILL of the web server with all its processes", programs.kill_server),
        Fault("stop-web", "SIGSTOP of a web process", programs.stop_web, quick=True),
        Fault("kill-sweep", "SIGKILL of the sweep", programs.kill_sweep),
        Fault("stop-sweep", "SIGSTOP of the sweep", programs.stop_sweep),
        Fault("kill-sender", "SIGKILL of the sender of alerts", programs.kill_sender),
        Fault("stop-sender", "SIGSTOP of the sender of alerts", programs.stop_sender),
        Fault("four-sweeps", "four sweeps at once", programs.four_sweeps),
        Fault("crash", "pg_ctl stop -m immediate", database.crash, quick=True),
        Fault("terminate", "all connections to the database ended", database.terminate, quick=True),
        Fault("terminate-some", "some of them", database.terminate_some, quick=True),
        Fault("lock-rows", "rows of jobs, bots and kinds locked", database.lock_rows, quick=True),
        Fault("lock-tables", "whole tables locked", database.lock_tables),
        Fault("snapshot", "an old snapshot held", database.snapshot),
        Fault("silent", "a database that falls silent", network.silent),
        Fault("cut-database", "answers of the database cut", network.cut_database, quick=True),
        Fault("cut-requests", "HTTP requests cut", network.cut_requests, quick=True),
        Fault("cut-answers", "HTTP answers cut", network.cut_answers, quick=True),
        Fault("strangers", "slow strangers, with and without a token", network.strangers),
        Fault("disk-full", "no space left for tables and log", disk.full, cannot=disk.cannot, alone=True),
        Fault("clocks", "clocks of web, sweep and bots wrong", clocks.wrong, cannot=clocks.cannot),
        Fault("restore", "a dump restored, with after_restore", restore.restore, once=True, alone=True),
    )
}
