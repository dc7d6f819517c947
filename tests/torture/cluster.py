"""Three machines on this one, from the files of `deploy/ha/`: PostgreSQL under Patroni, etcd, HAProxy and PgBouncer.

Each machine has addresses of its own in these files; here it has ports of its own.
"""

import json
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import psutil
import psycopg

from bench import programs
from bench.jobsite_server import free_port
from jobsite.dev.embedded_server import system_binaries
from tests.torture.processes import ROOT, started
from tests.torture.world import World

FILES = ROOT / "deploy/ha"
PROGRAMS = ("patroni", "etcd", "haproxy", "pgbouncer")
#: The ports in the files: of each machine, and of HAProxy and PgBouncer.
MACHINE = {"etcd": 2379, "peers": 2380, "patroni": 8008, "postgres": 5432}
PRIMARY, STANDBYS, POOLER = 5000, 5001, 6432
USER, PASSWORD = "postgres", "change me"
#: Seconds in which a cluster is made, a standby is promoted, or a machine is back.
PATIENCE = 120.0


def missing() -> list[str]:
    """The programs that are not installed."""
    path = os.environ["PATH"] + ":/usr/sbin"
    return [name for name in PROGRAMS if shutil.which(name, path=path) is None]


class Machine:
    """One of the three: its programs, and where its files are."""

    def __init__(self, n: int, directory: Path) -> None:
        self.name, self.address, self.directory = f"db-{n}", f"10.0.0.1{n}", directory
        self.ports = {name: free_port() for name in MACHINE}
        self.running: list[subprocess.Popen[bytes]] = []

    def own(self, text: str) -> str:
        """A file of the first machine as this one has it. Lines about all machines stay."""
        lines = text.splitlines(keepends=True)
        return "".join(
            line if "10.0.0.12" in line else line.replace("10.0.0.11", self.address).replace("db-1", self.name)
            for line in lines
        )

    def kill(self) -> None:
        """End all of it at once, as if the machine had lost its power."""
        found = [psutil.Process(process.pid) for process in self.running]
        with suppress(OSError, ValueError, psutil.Error):
            found.append(psutil.Process(self._postmaster()))
        for process in [*(child for one in found for child in one.children(recursive=True)), *found]:
            with suppress(psutil.Error):
                process.kill()
        for running in self.running:
            running.wait()
        self.running = []

    def signal_receiver(self, number: int) -> None:
        """Send a signal to the process that receives the primary's log."""
        with suppress(OSError, ValueError, psutil.Error):
            for process in psutil.Process(self._postmaster()).children():
                if "walreceiver" in " ".join(process.cmdline()):
                    process.send_signal(number)

    def run(self, statement: str) -> None:
        """Run a statement on its PostgreSQL, whatever that is."""
        where = {"host": "127.0.0.1", "port": self.ports["postgres"], "user": USER, "password": PASSWORD}
        with psycopg.connect(**where, dbname="postgres", autocommit=True) as there:
            there.execute(statement.encode())

    def asked(self, path: str, config: dict[str, Any] | None = None) -> Any:
        """What its Patroni answers; None: it does not, or not with 200."""
        body = None if config is None else json.dumps(config).encode()
        request = Request(f"http://127.0.0.1:{self.ports['patroni']}{path}", body, method="PATCH" if body else "GET")
        with suppress(OSError, URLError, ValueError), urlopen(request, timeout=3) as answer:
            return json.load(answer)
        return None

    def _postmaster(self) -> int:
        return int((self.directory / "data/postmaster.pid").read_text().splitlines()[0])


class Cluster(World):
    """What a storm has in place of one server. Its connections go through HAProxy, a wire's through PgBouncer, too."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, small=False, settings="tests.settings", binaries=system_binaries())
        self.machines = [Machine(n, directory / f"db-{n}") for n in (1, 2, 3)]
        self.ports = {port: free_port() for port in (PRIMARY, STANDBYS, POOLER)}
        self._others: list[subprocess.Popen[bytes]] = []

    def make(self) -> None:
        """Start all of it, and wait until there are a primary and two standbys."""
        for machine in self.machines:
            machine.directory.mkdir()
            shutil.chown(machine.directory, USER, USER)
            self.start_machine(machine)
        (self.directory / "users").write_text(f'"{USER}" "{PASSWORD}"\n')
        for name, command in (("haproxy.cfg", ["haproxy", "-db", "-f"]), ("pgbouncer.ini", ["pgbouncer", "-q"])):
            path = self.directory / name
            path.write_text(self._here((FILES / name).read_text()))
            self._others.append(self._run([*command, str(path)], name, user=USER))
        self.wait("there is no cluster", lambda: self.standbys() == 2)
        self.wait("HAProxy leads nowhere", self._answers)

    def start_machine(self, machine: Machine) -> None:
        """Start its etcd and its Patroni, which starts PostgreSQL."""
        settings = self._here(machine.own((FILES / "etcd").read_text()))
        env = dict(re.findall(r"^(ETCD_\w+)=(.*)$", settings, flags=re.M))
        env["ETCD_DATA_DIR"] = str(machine.directory / "etcd")
        path = machine.directory / "patroni.yml"
        text = self._here(machine.own((FILES / "patroni.yml").read_text()))
        text = re.sub(r"data_dir: .*", f"data_dir: {machine.directory / 'data'}", text)
        path.write_text(re.sub(r"bin_dir: .*", f"bin_dir: {self.binaries}", text))
        machine.running = [
            self._run(["etcd"], f"{machine.name}-etcd", user=USER, env=env),
            # In its home it has a file with passwords.
            self._run(
                ["patroni", str(path)], f"{machine.name}-patroni", user=USER, env={"HOME": str(machine.directory)}
            ),
        ]

    def _here(self, text: str) -> str:
        """A file with the ports of this machine."""
        for machine in self.machines:
            for name, port in MACHINE.items():
                text = text.replace(f"{machine.address}:{port}", f"127.0.0.1:{machine.ports[name]}")
            ports = machine.ports
            text = text.replace(
                f"{ports['postgres']} check port 8008", f"{ports['postgres']} check port {ports['patroni']}"
            )
        for port, own in self.ports.items():
            text = re.sub(rf"(127\.0\.0\.1:|port ?= ?){port}\b", rf"\g<1>{own}", text)
        return text.replace("10.0.0.0/24", "127.0.0.1/32").replace(
            "/etc/pgbouncer/userlist.txt", f"{self.directory}/users"
        )

    def _run(self, command: Sequence[str], name: str, *, user: str, env: dict[str, str] | None = None) -> Any:
        entry = pwd.getpwnam(user)
        with (self.directory / f"{name}.log").open("ab") as log:
            environment = os.environ | {"PATH": os.environ["PATH"] + ":/usr/sbin"} | (env or {})
            who = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
            return started(command, env=environment, cwd="/", stdout=log, stderr=log, **who)

    def wait(self, otherwise: str, holds: Callable[[], Any]) -> None:
        """Wait until this holds."""
        until = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > until:
                logs = [path.read_text(errors="replace")[-1500:] for path in self.directory.glob("*-patroni.log")]
                raise RuntimeError("\n".join([otherwise, *logs]))
            time.sleep(0.1)

    def primary(self) -> Machine | None:
        """The machine that has the primary."""
        return next((machine for machine in self.machines if machine.asked("/primary")), None)

    def standbys(self, state: str = "streaming") -> int:
        """How many standbys receive the primary's log; with `sync`: how many it waits for."""
        primary = self.primary()
        there = (primary.asked("/patroni") or {}).get("replication", []) if primary else []
        return sum(state in (one["state"], one["sync_state"]) for one in there)

    def followers(self) -> list[Machine]:
        """The machines that have no primary."""
        primary = self.primary()
        return [machine for machine in self.machines if machine is not primary]

    def configure(self, **config: Any) -> None:
        """Change Patroni's own settings."""
        primary = self.primary()
        assert primary is not None and primary.asked("/config", config) is not None

    def end(self) -> None:
        """End all of it."""
        for process in self._others:
            programs.stop(process)
        for machine in self.machines:
            machine.kill()

    # --- As a storm has it ---

    def socket(self) -> socket.socket:
        """A connection to PgBouncer, for a wire."""
        far = socket.create_connection(("127.0.0.1", self.ports[POOLER]), 5)
        far.settimeout(None)
        return far

    def direct(self, name: str) -> str:
        return f"postgres://{USER}@127.0.0.1:{self.ports[PRIMARY]}/{name}"

    def everywhere(self, name: str) -> str:
        """The URL that names all machines, and leaves it to the client to find the primary."""
        hosts = ",".join(f"127.0.0.1:{machine.ports['postgres']}" for machine in self.machines)
        return f"postgres://{USER}@{hosts}/{name}?target_session_attrs=read-write"

    def environment(self, url: str) -> dict[str, str]:
        name = url.rpartition("/")[2].partition("?")[0]
        return super().environment(url) | {
            "PGPASSWORD": PASSWORD, "PROMOTION_HOLDS_ALERTS": "0", "LISTEN_DATABASE_URL": self.direct(name),
            "REPLICA_URL": self.direct(name).replace(str(self.ports[PRIMARY]), str(self.ports[STANDBYS])),
        }  # fmt: skip

    def _where(self) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self.ports[PRIMARY], "user": USER, "password": PASSWORD}

    def _answers(self) -> bool:
        with suppress(Exception), self.connect("postgres") as connection:
            return connection.execute("SELECT NOT pg_is_in_recovery()").fetchone() == (True,)
        return False


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Three machines, for the time of a test."""
    directory = Path(tempfile.mkdtemp(prefix="jobsite-cluster-"))
    directory.chmod(0o755)
    made = Cluster(directory)
    try:
        made.make()
        yield made
    finally:
        made.end()
        shutil.rmtree(directory, ignore_errors=True)
