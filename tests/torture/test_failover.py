"""The primary of three machines dies under load: nothing acknowledged is lost, no lease is given twice."""

import faulthandler
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.jobsite_server import free_port
from jobsite.dev.embedded_server import CannotStart, system_binaries
from tests.torture import figures
from tests.torture.cluster import Cluster, cluster, missing
from tests.torture.failover import Failover, Pair, is_ready
from tests.torture.faults import Fault
from tests.torture.prepare import OPERATOR, PASSWORD
from tests.torture.processes import Program
from tests.torture.stage import serve
from tests.torture.storm import Plan, Result, receiver, report, run


def _cannot() -> str:
    try:
        system_binaries()
    except CannotStart as error:
        return str(error)
    return f"not installed: {', '.join(missing())}" if missing() else ""


pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(_cannot()), reason=_cannot()),
]
PAGE, NOTE = "/admin/jobs/jobevent/", "Read from a standby of the database"
#: The strike says when it is over.
PLAN = Plan(operations=10**9, seconds=5, bots=4, most=40, pending=1000)


@pytest.fixture(scope="module")
def machines() -> Iterator[Cluster]:
    with receiver() as address, cluster() as made:
        made.prepare(address)
        yield made


@pytest.fixture(autouse=True)
def patience() -> None:
    """That of the mark, and not pytest's own three minutes: Patroni alone takes one to give up a machine."""
    faulthandler.cancel_dump_traceback_later()


def struck(machines: Cluster, failover: Failover) -> Result:
    fault = Fault("failover", "the primary's machine dies", failover.strike, once=True)
    result = run(machines, [fault], f"{datetime.now(UTC):%Y-%m-%d}", PLAN, Pair)
    print(f"{result.operations} operations, {dict(result.answers)}", *failover.seconds, sep="\n")
    return result


def test_nothing_is_lost_when_a_synchronous_primary_dies(machines: Cluster) -> None:
    machines.wait("nothing is synchronous", lambda: machines.standbys("sync"))
    result = struck(machines, Failover(machines, synchronous=True))
    assert not result.violations, report(result)
    assert result.strikes == 1


def test_pages_are_read_from_a_standby_and_say_how_far_it_is_behind(machines: Cluster, tmp_path: Path) -> None:
    with machines.database() as name, ExitStack() as stack:
        port, log = free_port(), tmp_path / "log"
        env = machines.environment(machines.everywhere(name)) | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
        web = Program("web", serve(port), env, log)
        stack.callback(web.kill)
        web.start()
        machines.wait("the server is not ready", lambda: is_ready(port))
        browser = figures.Browser(port)
        browser.log_in(OPERATOR, PASSWORD)
        assert f"{NOTE}." in browser.read(PAGE)
        followers = machines.followers()
        for machine in followers:
            machine.run("SELECT pg_wal_replay_pause()")
        with machines.connect(name) as connection:
            connection.execute("UPDATE jobs_jobkind SET paused = paused")
        machines.wait("the page is as new as before", lambda: f"{NOTE}, " in browser.read(PAGE))
        for machine in followers:
            machine.run("SELECT pg_wal_replay_resume()")
        machines.wait("the page is still behind", lambda: f"{NOTE}." in browser.read(PAGE))
        for machine in followers:
            machine.kill()
        assert NOTE not in browser.read(PAGE)
        assert "the standby does not answer" in log.read_text()
        for machine in followers:
            machines.start_machine(machine)
        machines.wait("they are not back", lambda: machines.standbys() == 2)


def test_what_an_asynchronous_standby_had_not_received_is_refused_later(machines: Cluster) -> None:
    machines.configure(synchronous_mode=False, maximum_lag_on_failover=10**9)
    machines.wait("it waits for a standby", lambda: not machines.standbys("sync"))
    result = struck(machines, Failover(machines, synchronous=False))
    assert not result.violations, report(result)
    assert result.strikes == 1
