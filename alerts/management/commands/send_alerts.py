"""`manage.py send_alerts`: send the alerts that are due."""

import json
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from alerts.delivery.dispatch import SendCounts, send_due
from alerts.incidents import reconcile
from jobsite.lib.loop import DATABASE_AWAY, error_line, run_repeatedly, seconds, time_now
from jobsite.lib.plain_text import one_line


class Command(BaseCommand):
    help = (
        "Send due notifications. Safe to run several times in parallel, and beside sweep_stuck, which sends them too."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object for each run")
        parser.add_argument("--loop", type=seconds, metavar="SECONDS", help="repeat, with this pause")

    def handle(self, *, json: bool, loop: float | None, **options: Any) -> None:
        if loop is not None:
            run_repeatedly(self, lambda: self._report(self._once(json)), loop, "Sending")
            return
        try:
            sent = self._once(json)
        except DATABASE_AWAY as error:
            raise CommandError(
                f"Sending failed. Notifications sent before that stay sent. {error_line(error)}"
            ) from None
        except KeyboardInterrupt:
            raise CommandError("Interrupted. Notifications sent before that stay sent.", returncode=130) from None
        self._report(sent)
        if sent.failed:
            raise CommandError("Some deliveries failed. They will be retried, or were given up.")

    def _once(self, as_json: bool) -> SendCounts:
        began = time.monotonic()
        # A stopped sweep cannot report itself, so this timer checks.
        reconcile.check_sweep_overdue()
        sent = send_due()
        if as_json:
            self.stdout.write(json.dumps(sent.counts()))
        else:
            counts = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in sent.counts().items())
            self.stdout.write(f"{counts}; {time.monotonic() - began:.1f} s, {time_now()}")
        return sent

    def _report(self, sent: SendCounts) -> None:
        for channel, error in sent.errors:
            self.stderr.write(one_line(f"{time_now()} {channel}: {error}"))
