import json
import signal
import sys
import threading
import time
from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import asdict
from datetime import UTC, datetime
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError, close_old_connections
from rich.console import Console
from rich.table import Table

from bots.models import Bot
from jobs import figures, leases, meter
from jobs import sweep as sweeping
from jobs.models import JobKind
from jobs.sweep import Act, Swept, sweep

#: What a database that is away, or goes away, raises.
DATABASE_AWAY = (OperationalError, InterfaceError)


class Stopped(KeyboardInterrupt):
    """SIGTERM or SIGINT came. The batch in hand is rolled back, and is due again; those before it are done.

    A `KeyboardInterrupt`, because psycopg gives up waiting for an answer for that, and for no other exception.
    """


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds") from None
    if not 0 < seconds <= 86_400:
        raise ArgumentTypeError("the pause between sweeps must be between 0 and 86 400 seconds")
    return seconds


class Command(BaseCommand):
    help = "Grade every bot's health and return the jobs that nobody works on. Safe to run twice at once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would be done to which job and why, and change nothing"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object a sweep")
        parser.add_argument("--kind", metavar="K", help="look only at leases of this kind")
        parser.add_argument("--loop", type=_seconds, metavar="SECONDS", help="sweep again and again, with this pause")

    def handle(self, *, dry_run: bool, json: bool, kind: str | None, loop: float | None, **options: Any) -> None:
        if loop is not None:
            self._again_and_again(dry_run, json, kind, loop)
            return
        try:
            self._once(dry_run, json, kind)
        except DATABASE_AWAY as error:
            raise CommandError(f"The sweep failed; what it had done until then is done. {_one_line(error)}") from None
        except KeyboardInterrupt:
            raise CommandError("Interrupted; what was done until then is done.", returncode=130) from None

    def _again_and_again(self, dry_run: bool, as_json: bool, kind: str | None, pause: float) -> None:
        """Until SIGTERM or SIGINT, which end it at once with exit code 0: that is how a service is stopped."""
        before = {number: signal.signal(number, _stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            while True:
                try:
                    self._once(dry_run, as_json, kind)
                except DATABASE_AWAY as error:
                    # A loop that ended here would leave nobody watching.
                    self.stderr.write(f"{_time()} The sweep failed and will be tried again. {_one_line(error)}")
                self.stderr.flush()
                self.stdout.flush()
                close_old_connections()
                threading.Event().wait(pause)
        except Stopped:
            return
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _once(self, dry_run: bool, as_json: bool, kind: str | None) -> None:
        if kind is not None and not JobKind.objects.filter(name=kind).exists():
            known = ", ".join(JobKind.objects.values_list("name", flat=True)[:20]) or "none yet"
            raise CommandError(f"--kind: there is no kind called {kind!r}. Kinds: {known}.")
        began = time.monotonic()
        swept = sweep(kind=kind, dry_run=dry_run)
        if not dry_run:
            # The console's figures and the counters of /metrics: every minute that has closed, once.
            figures.keep_tally()
            leases.keep()
            meter.keep()
        bots = dict(Bot.objects.filter(pk__in={act.bot for act in swept.actions}).values_list("pk", "name"))
        if as_json:
            actions = {"actions": [asdict(act) | {"bot": bots.get(act.bot)} for act in swept.actions]}
            self.stdout.write(json.dumps(swept.counts() | (actions if dry_run else {})))
            return
        terminal = self.stdout.isatty()
        if swept.actions and terminal:
            Console(file=sys.stdout).print(_table(swept, bots))
        self.stdout.write(_summary(swept, dry_run) + f"; {time.monotonic() - began:.1f} s, {_time()}")
        if dry_run and not terminal:
            for act in swept.actions:
                self.stdout.write(_line(act, bots))


def _stop(number: int, frame: FrameType | None) -> None:
    # Once is enough: a second signal must not meet the first one's cleaning up.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise Stopped


def _time() -> str:
    """For a log that cron or a shell appends to, and that has no times of its own."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _summary(swept: Swept, dry_run: bool) -> str:
    figures = {name.replace("_", " "): n for name, n in swept.counts().items() if not name.startswith("incidents")}
    return ("Dry run: " if dry_run else "") + ", ".join(f"{name} {n}" for name, n in figures.items())


def _line(act: Act, bots: dict[int, str]) -> str:
    """`sum job 12, held by ada: expire → pending: silent for 6 m 10 s on sum job 12, limit 2 m`."""
    bot = bots.get(act.bot, "?")
    whose = f"bot {bot}" if act.job is None else f"{act.kind} job {act.job}, held by {bot}"
    return f"{whose}: {_outcome(act)}: {act.reason}"


def _outcome(act: Act) -> str:
    return act.action if act.becomes is None else f"{act.action} → {act.becomes}"


def _table(swept: Swept, bots: dict[int, str]) -> Table:
    unnamed = swept.unnamed + max(0, len(swept.actions) - sweeping.NAMED)
    table = Table("job", "kind", "bot", "action", "why", caption=f"and {unnamed} more" if unnamed else None)
    for act in swept.actions[: sweeping.NAMED]:
        job = "" if act.job is None else str(act.job)
        table.add_row(job, act.kind or "", bots.get(act.bot, "?"), _outcome(act), act.reason)
    return table
