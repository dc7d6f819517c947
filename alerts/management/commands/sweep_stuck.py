"""`manage.py sweep_stuck`: grade bots, act on stuck jobs, and do all that follows a sweep."""

import json
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from alerts import ping
from alerts.delivery import timing
from alerts.delivery.background import BackgroundSender
from alerts.delivery.dispatch import SendCounts, send_due
from alerts.incidents import reconcile, retention, sweep_late
from bots.models import Bot
from jobs.models import JobKind
from jobs.sweep import result as sweeping
from jobs.sweep.duties import record_incidents
from jobs.sweep.result import SweepAction, Swept
from jobs.sweep.run import sweep
from jobsite.lib.loop import DATABASE_AWAY, error_line, run_repeatedly, seconds, time_now
from jobsite.lib.plain_text import one_line


class Command(BaseCommand):
    help = "Update every bot's health and expire jobs of stuck bots. Safe to run several times in parallel."
    # They import every page and call. `manage.py check` runs them, and so do the tests.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="print what would be done, and change nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object for each sweep")
        parser.add_argument("--kind", metavar="K", help="sweep only leases of this kind")
        parser.add_argument("--loop", type=seconds, metavar="SECONDS", help="repeat, with this pause")

    def handle(self, *, dry_run: bool, json: bool, kind: str | None, loop: float | None, **options: Any) -> None:
        if loop is not None:
            with BackgroundSender(self._report_sent, self._report_failed) as sender:
                run_repeatedly(self, lambda: self._once(dry_run, json, kind, sender.start_run), loop, "The sweep")
            return
        try:
            self._once(dry_run, json, kind, self._send_due)
        except DATABASE_AWAY as error:
            raise CommandError(
                f"The sweep failed. Batches committed before that stay committed. {error_line(error)}"
            ) from None
        except KeyboardInterrupt:
            raise CommandError("Interrupted. Batches committed before that stay committed.", returncode=130) from None

    def _once(self, dry_run: bool, as_json: bool, kind: str | None, send: Callable[[], None]) -> None:
        if kind is not None and not JobKind.objects.filter(name=kind).exists():
            known = ", ".join(JobKind.objects.values_list("name", flat=True)[:20]) or "none yet"
            raise CommandError(f"--kind: there is no kind called {kind!r}. Kinds: {known}.")
        began = time.monotonic()
        swept = _sweep(kind, dry_run)
        bots = dict(Bot.objects.filter(pk__in={act.bot for act in swept.actions}).values_list("pk", "name"))
        if as_json:
            actions = {"actions": [asdict(act) | {"bot": bots.get(act.bot)} for act in swept.actions]}
            self.stdout.write(json.dumps(swept.counts() | (actions if dry_run else {})))
        else:
            self._print(swept, bots, dry_run, f"; {time.monotonic() - began:.1f} s, {time_now()}")
        if not dry_run:
            # Send notifications only after the sweep is done and its summary printed.
            self.stdout.flush()
            send()

    def _print(self, swept: Swept, bots: dict[int, str], dry_run: bool, when: str) -> None:
        terminal = self.stdout.isatty()
        if swept.actions and terminal:
            Console(file=sys.stdout).print(_table(swept, bots))
        self.stdout.write(_summary(swept, dry_run) + when)
        if dry_run and not terminal:
            for act in swept.actions:
                self.stdout.write(one_line(_line(act, bots)))

    def _send_due(self) -> None:
        """Send after a single sweep, and wait for the tries to end."""
        self._report_sent(send_due(timing.RUN_TIME_AFTER_SWEEP))

    def _report_sent(self, sent: SendCounts) -> None:
        """Print errors of channels, and that alerts are held back. They do not fail the sweep."""
        for line in sent.lines():
            self.stderr.write(one_line(f"{time_now()} {line}"))

    def _report_failed(self, error: BaseException) -> None:
        self.stderr.write(f"{time_now()} Sending failed and will be retried. {error_line(error)}")


def _sweep(kind: str | None, dry_run: bool) -> Swept:
    """Sweep. Unless it is a dry run, also update the statistics, incidents and the outbound ping."""
    try:
        before = sweep_late.status()
        swept = sweep(kind=kind, dry_run=dry_run)
        if dry_run:
            return swept
        run = reconcile.reconcile(kind=kind, before=before)
        if run is not None:
            swept.incidents_opened, swept.incidents_resolved = run.opened, run.resolved
        if kind is None:
            record_incidents(swept)
            retention.prune()
    except DATABASE_AWAY:
        if kind is None and not dry_run:
            ping.send(failed=True)
        raise
    if kind is None:
        ping.send()
    return swept


def _summary(swept: Swept, dry_run: bool) -> str:
    counts = {name.replace("_", " "): n for name, n in swept.counts().items()}
    return ("Dry run: " if dry_run else "") + ", ".join(f"{name} {n}" for name, n in counts.items())


def _line(act: SweepAction, bots: dict[int, str]) -> str:
    """`sum job 12, held by ada: expire → pending: silent for 6 m 10 s on sum job 12, limit 2 m`."""
    bot = _bot(act, bots)
    whose = f"bot {bot}" if act.job is None else f"{act.kind} job {act.job}, held by {bot}"
    return f"{whose}: {_outcome(act)}: {act.reason}"


def _bot(act: SweepAction, bots: dict[int, str]) -> str:
    bot = bots.get(act.bot, "?")
    return f"{bot}, instance {act.instance}" if act.instance else bot


def _outcome(act: SweepAction) -> str:
    return act.action if act.becomes is None else f"{act.action} → {act.becomes}"


def _table(swept: Swept, bots: dict[int, str]) -> Table:
    unlisted = swept.unlisted + max(0, len(swept.actions) - sweeping.MAX_ACTIONS)
    table = Table("job", "kind", "bot", "action", "why", caption=f"and {unlisted} more" if unlisted else None)
    for act in swept.actions[: sweeping.MAX_ACTIONS]:
        job = "" if act.job is None else str(act.job)
        cells = (job, act.kind or "", _bot(act, bots), _outcome(act), act.reason)
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    return table
