"""Run all of Jobsite on one machine (`make run`, `jobsite run`), with sample jobs and three bots; one will hang.

This only starts and stops programs that you can also start by hand. The database, the operator's password and the
bots' tokens are kept under `.postgres/` and `.run/`, so a second run goes on where the first ended.
"""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from types import FrameType

from jobsite import layout
from jobsite.dev import postgres
from jobsite.serving.command_line import command_line

RUN = layout.HOME / ".run"
#: The management commands. `-P`: a folder that is called as one of our packages is not meant.
MANAGE = [sys.executable, "-P", "-m", "jobsite"] if layout.IS_WHEEL else [sys.executable, "manage.py"]
#: Who may do everything, and who may only look.
OPERATOR, VIEWER = "operator", "viewer"
#: The three bots and what is special about each; `stubborn` takes a job and goes silent for ten minutes.
BOTS = {
    "steady": ["--slow", "0.5"],
    "swift": ["--slow", "0.2", "--concurrency", "2"],
    "stubborn": ["--slow", "0.5", "--hang", "600", "--on-job", "5"],
}
#: A short limit for the demo's kinds: a bot is silent after 20 s. The policy is `flag`, so a silent bot keeps its job
#: until somebody releases it.
HEARTBEAT_WITHIN = 20
#: Seconds a program is given to end by itself.
GRACE = 15


@dataclass
class Program:
    """One program of the demo. One with `restart` is restarted when it ends, each time after a longer pause."""

    name: str
    command: list[str]
    restart: bool = False
    env: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    exits: int = 0
    next_start: float = 0.0

    def start(self, env: dict[str, str]) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches only the demo, which stops all in order."""
        with (RUN / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=layout.HOME, env=env | self.env, stdout=log, stderr=log, start_new_session=True
            )

    def stop(self) -> None:
        """Terminate it, and kill it after `GRACE` seconds."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Stopped(Exception):
    """Ctrl-C or SIGTERM came."""


def say(text: str = "") -> None:
    """Print a line."""
    print(text, flush=True)


def secret(name: str, default: str) -> str:
    """Return the secret in `.run/<name>`, which only its owner may read. If there is none, write `default` there."""
    path = RUN / name
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(default + "\n")
    return path.read_text().strip()


def manage(env: dict[str, str], *arguments: str, quiet: bool = True) -> str:
    """Run a management command and return its output. Exits with that output when it fails."""
    out = subprocess.PIPE if quiet else None
    done = subprocess.run(
        [*MANAGE, *arguments], cwd=layout.HOME, env=env, stdout=out, stderr=out, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{arguments[0]} failed:\n{done.stdout or ''}{done.stderr or ''}")
    return done.stdout or ""


PREPARE = """
from datetime import timedelta
import os
from pathlib import Path
from django.contrib.auth.models import Group, User
from bots import roster
from bots.models import Bot
from jobs import lifecycle
from jobs.models import JobKind

for name, role in ((os.environ["DEMO_OPERATOR"], "administrator"), (os.environ["DEMO_VIEWER"], "viewer")):
    person, new = User.objects.get_or_create(username=name, defaults={"is_staff": True})
    if new:
        person.groups.set(Group.objects.filter(name=role))
    if new or not person.check_password(os.environ["DEMO_PASSWORD"]):
        person.set_password(os.environ["DEMO_PASSWORD"])
        person.save()
for kind in ("sum", "subtract", "multiply", "divide", "checksum", "wordcount"):
    JobKind.objects.get_or_create(name=kind, defaults={
        "heartbeat_within": timedelta(seconds=int(os.environ["DEMO_HEARTBEAT"])), "backoff": timedelta(seconds=2),
        "when_silent": "flag"} | ({"max_held_per_group": 2} if kind == "wordcount" else {}))
lifecycle.limits_changed(["wordcount"])
for name in os.environ["DEMO_BOTS"].split():
    path = Path(os.environ["DEMO_RUN"]) / f"{name}.token"
    bot = Bot.objects.filter(name=name).first()
    if bot is not None and path.exists():
        continue
    token = roster.rotate(bot) if bot else roster.register(name=name)[1]
    path.touch(0o600)
    path.write_text(token)
"""


def prepare(env: dict[str, str]) -> str:
    """Migrate, create the operator and the bots, load the sample jobs. Returns the operator's password."""
    password = secret("password", secrets.token_urlsafe(12))
    say("Migrating the database …")
    manage(env, "migrate", "--no-input", "-v", "0")
    manage(env, "collectstatic", "--no-input", "-v", "0")
    names = {
        "DEMO_OPERATOR": OPERATOR,
        "DEMO_VIEWER": VIEWER,
        "DEMO_PASSWORD": password,
        "DEMO_BOTS": " ".join(BOTS),
        "DEMO_RUN": str(RUN),
        "DEMO_HEARTBEAT": str(HEARTBEAT_WITHIN),
    }
    manage(env | names, "shell", "-v", "0", "-c", PREPARE)
    say("Loading the sample jobs …")
    manage(env, "enqueue", str(layout.EXAMPLES / "jobs.ndjson"), quiet=False)
    manage(env, "schedules", "apply", str(layout.EXAMPLES / "schedules.json"), quiet=False)
    return password


def programs(port: int, url: str) -> list[Program]:
    """Return the programs in the order in which they start; they stop in reverse."""
    sweep = [*MANAGE, "sweep_stuck", "--loop", "5"]
    bots = []
    for name, flags in BOTS.items():
        bot = [sys.executable, str(layout.EXAMPLES / "demo_bot.py"), "--url", url, "--root", str(layout.PAPERS)]
        bots.append(Program(f"bot-{name}", [*bot, "--token-file", str(RUN / f"{name}.token"), *flags], restart=True))
    return [Program("web", command_line(port)), Program("sweep", sweep, restart=True), *bots]


def is_listening(port: int) -> bool:
    """Say whether a program listens on this port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(web: Program, port: int) -> None:
    """Wait until the web server listens. Exits with the end of its log when it does not."""
    until = time.monotonic() + 30
    while not is_listening(port):
        ended = web.process is not None and web.process.poll() is not None
        if ended or time.monotonic() > until:
            sys.exit("The web server did not start:\n" + (RUN / "web.log").read_text(errors="replace")[-2000:])
        time.sleep(0.1)


def watch(running: list[Program], env: dict[str, str]) -> None:
    """Report each program that ends, and restart those with `restart`, until Ctrl-C or SIGTERM."""
    while True:
        for program in running:
            if program.process is not None and program.process.poll() is not None:
                code, program.process = program.process.returncode, None
                if not program.restart:
                    sys.exit(f"{program.name} ended ({code}). Its log: .run/{program.name}.log")
                program.exits += 1
                pause = min(2**program.exits, 60)
                program.next_start = time.monotonic() + pause
                say(f"{program.name} ended ({code}) and will be restarted in {pause} s.")
            elif program.process is None and time.monotonic() >= program.next_start:
                program.start(env)
        time.sleep(0.5)


def environment() -> dict[str, str]:
    """The environment of all that runs, with a database. CannotStart when there is none."""
    key = secret("secret-key", secrets.token_urlsafe(50))
    env = dict(os.environ) | {"DEBUG": "0", "HTTPS": "0", "SECRET_KEY": key}
    if not env.get("DATABASE_URL"):
        env["DATABASE_URL"] = postgres.start(layout.HOME / ".postgres")
    return env


def main() -> int:
    """Run the demo until Ctrl-C. Returns the exit code."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    port = int(os.environ.get("PORT") or 8000)
    if is_listening(port):
        say(f"Port {port} is taken. Stop what listens there, or choose another by PORT={port + 1}.")
        return 1
    RUN.mkdir(mode=0o700, exist_ok=True)
    running: list[Program] = []
    try:
        url, env = f"http://127.0.0.1:{port}", environment()
        password = prepare(env)
        for program in programs(port, url):
            running.append(program)
            program.start(env)
            if program.name == "web":
                wait_for(program, port)
        introduce(url, password)
        watch(running, env)
    except postgres.CannotStart as error:
        say(str(error))
        return 1
    except Stopped:
        say("\nStopping …")
    finally:
        # A second Ctrl-C must not leave half of it running.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        for program in reversed(running):
            program.stop()
    say("Stopped. The same command goes on from here.")
    return 0


def introduce(url: str, password: str) -> None:
    """Print where to log in, and what to try."""
    say()
    say(f"  Jobsite runs at   {url}/admin/")
    say(f"  Log in as         {OPERATOR}   password   {password}   (kept in .run/password)")
    say(f"  Only to look      {VIEWER}     the same password")
    say(f"  The API's docs    {url}/api/v1/docs")
    say()
    say(f"  Three bots work. Soon `stubborn` hangs on a job; {HEARTBEAT_WITHIN} s later it is potentially stuck.")
    say("  Open the admin, press Release, and see another bot finish the job. Logs: .run/*.log. Ctrl-C stops it all.")
    say("  Each minute a schedule adds a job: see Schedules in the admin.")
    say("  Of three customers' word counts two are done at once for each: see the kind wordcount.")
    say()


if __name__ == "__main__":
    sys.exit(main())
