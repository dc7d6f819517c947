"""Install Jobsite in an empty Debian or Ubuntu, upgrade it and go back: `python -m tests.deploy.installed --help`.

`deploy/install.sh` runs in a directory that debootstrap made, as root. systemd does not run there, so what the units
start is started here: the programs, users and directories are read from the units that the script has installed.
"""

import argparse
import os
import secrets
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx

from tests.deploy.units import services
from tests.docs.reading import ROOT

NAME = "jobs.example.org"
INSIDE = "of the namespaces of this program"
#: The directory with the project's files, as the chroot sees it.
PROJECT = "/root/jobsite"


class Machine:
    """A system in a directory, with the programs that run in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def run(self, *command: str, **env: str) -> str:
        """Run a command there as root, and return what it printed. Ends the program when it fails."""
        path = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
        done = subprocess.run(
            ["chroot", str(self.root), *command], env=path | env, stdout=subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"{' '.join(command)} exited with {done.returncode}:\n{done.stdout[-3000:]}")
        return done.stdout

    def start_units(self) -> None:
        """Start what each service of ours starts, as its user, and nginx. The sweep, which ends, is run once."""
        for service in services(self.root / "etc/systemd/system").values():
            command = ["env", "-i", "-C", service.directory, "PATH=/usr/bin:/bin", *service.command]
            self._start(service.name, f"--userspec={service.user}:{service.user}", str(self.root), *command)
        assert self.running.pop("sweep").wait(60) == 0
        if "nginx" not in self.running:
            self._start("nginx", str(self.root), "nginx", "-g", "daemon off;")

    def _start(self, name: str, *arguments: str) -> None:
        with (self.root / f"root/{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                ["chroot", *arguments], stdout=log, stderr=log, start_new_session=True
            )

    def stop_units(self) -> None:
        """Send SIGTERM to what the services started, and wait until they end."""
        for name in [name for name in self.running if name != "nginx"]:
            program = self.running.pop(name)
            began = time.monotonic()
            program.terminate()
            code = program.wait(45)
            print(f"   {name} ended with {code} after {time.monotonic() - began:.1f} s")


def call(method: str, path: str, token: str = "", **body: object) -> httpx.Response:
    """A call through nginx, by the name of the installation."""
    headers = {"Host": NAME} | ({"Authorization": f"Bearer {token}"} if token else {})
    return httpx.request(method, f"http://127.0.0.1{path}", headers=headers, json=body or None, timeout=70)


def wait_for(what: str, true: Callable[[], bool]) -> None:
    """Wait up to two minutes."""
    until = time.monotonic() + 120
    while True:
        with suppress(httpx.HTTPError):
            if true():
                return
        if time.monotonic() > until:
            sys.exit(f"{what}: it never came")
        time.sleep(0.2)


def is_ready() -> bool:
    return call("GET", "/readyz?strict=1").status_code == 200


def complete_a_job(key: str, token: str) -> int:
    """A producer enqueues a job, and a bot does it: through nginx."""
    job = call("POST", "/api/v1/jobs", key, kind="sum", payload={"numbers": [1, 2]}).json()["id"]
    (claimed,) = call("POST", "/api/v1/claim", token, wait=10).json()["jobs"]
    assert claimed["id"] == job
    done = call("POST", f"/api/v1/jobs/{job}/complete", token, attempt=claimed["attempt"], result=3)
    assert done.status_code == 200, done.text
    assert call("GET", f"/api/v1/jobs/{job}", key).json()["status"] == "succeeded"
    return int(job)


def check_files(root: Path) -> None:
    """Only root may change the settings, and jobsite may read them. It owns two directories."""
    env = (root / "srv/jobsite/.env").stat()
    uid = next(
        line.split(":") for line in (root / "etc/passwd").read_text().splitlines() if line.startswith("jobsite:")
    )
    assert stat.S_IMODE(env.st_mode) == 0o640
    assert (env.st_uid, env.st_gid) == (0, int(uid[3]))
    owned = {path.name for path in (root / "srv/jobsite").iterdir() if path.lstat().st_uid == int(uid[2])}
    assert owned == {".static", ".run"}


def story(root: Path, first: Path, second: Path | None, back: list[str]) -> None:
    """All of it. What is printed is what was seen."""
    machine = Machine(root)
    shutil.copytree(ROOT / "deploy", root / PROJECT[1:] / "deploy", dirs_exist_ok=True)
    wheels = [wheel for wheel in (first, second) if wheel]
    for n, wheel in enumerate(wheels):
        (root / f"root/{n}").mkdir(exist_ok=True)
        shutil.copy(wheel, root / f"root/{n}")

    def install(n: int) -> None:
        began = time.monotonic()
        machine.run(f"{PROJECT}/deploy/install.sh", f"/root/{n}/{wheels[n].name}", NAME)
        print(f"   installed in {time.monotonic() - began:.0f} s")

    def up() -> None:
        machine.start_units()
        wait_for("ready", is_ready)

    # Without an init system a package may start its server only if this says so.
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text('#!/bin/sh\n[ "$1" = postgresql ] || exit 101\n')
    policy.chmod(0o755)
    if (root / "etc/init.d/postgresql").exists():
        machine.run("service", "postgresql", "start")
    print("An empty system")
    install(0)
    check_files(root)
    up()
    login = {"DJANGO_SUPERUSER_PASSWORD": secrets.token_urlsafe(16)}
    machine.run("jobsite", "createsuperuser", "--noinput", "--username=olga", "--email=olga@example.org", **login)
    key = machine.run("jobsite", "create_key", "olga").strip()
    token = machine.run("jobsite", "create_bot", "ada").strip()
    jobs = [complete_a_job(key, token)]
    print(f"   job {jobs[0]} is done")
    assert call("GET", "/admin/login/").status_code == 200
    if second is None:
        return machine.stop_units()
    print("The next release")
    install(1)
    machine.stop_units()
    up()
    jobs.append(complete_a_job(key, token))
    print(f"   job {jobs[1]} is done, and job {jobs[0]} is there")
    machine.run("jobsite", "check_schema")
    print("And back")
    for target in back:
        machine.run("jobsite", "migrate", *target.split("="))
    install(0)
    machine.stop_units()
    up()
    jobs.append(complete_a_job(key, token))
    statuses = [call("GET", f"/api/v1/jobs/{job}", key).json()["status"] for job in jobs]
    assert statuses == ["succeeded"] * 3
    print(f"   job {jobs[2]} is done, and jobs {jobs[0]} and {jobs[1]} are there")
    machine.stop_units()


def main() -> None:
    """Run the story in namespaces of its own, which end with it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="made by: debootstrap --include=ca-certificates,systemd bookworm ROOT")
    parser.add_argument("wheel", type=Path, help="the release to begin with")
    parser.add_argument("next", type=Path, nargs="?", help="the one to upgrade to")
    parser.add_argument("--back", nargs="+", default=[], metavar="APP=NUMBER", help="migrations to go back to")
    arguments = parser.parse_args()
    if os.geteuid():
        sys.exit("Run it as root.")
    if os.environ.get("INSTALLED") != INSIDE:
        os.environ["INSTALLED"] = INSIDE
        inside = ["unshare", "--mount", "--pid", "--fork", "--kill-child", sys.executable, "-m", __spec__.name]
        os.execvp(inside[0], [*inside, *sys.argv[1:]])
    for what in (["-t", "proc", "proc", "proc"], ["--rbind", "/dev", "dev"], ["-t", "tmpfs", "run", "run"]):
        subprocess.run(["mount", *what[:-1], str(arguments.root / what[-1])], check=True)
    story(arguments.root.resolve(), arguments.wheel, arguments.next, arguments.back)


if __name__ == "__main__":
    main()
