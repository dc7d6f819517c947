"""`manage.py send_alerts`: send the alerts that are due."""

import json
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from alerts.delivery.dispatch import Sent, send_due
from alerts.incidents import reconcile
from jobsite.lib.loop import DATABASE_AWAY, one_line, run_repeatedly, seconds, time_now


class Command(BaseCommand):
    help = "Send the alerts that are due. Safe to run twice at once, and beside sweep_stuck, which does it too."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object a pass")
        parser.add_argument("--loop", type=seconds, metavar="SECONDS", help="send again and again, with this pause")

    def handle(self, *, json: bool, loop: float | None, **options: Any) -> None:
        if loop is not None:
            run_repeatedly(self, lambda: self._report(self._once(json)), loop, "Sending")
            return
        try:
            sent = self._once(json)
        except DATABASE_AWAY as error:
            raise CommandError(f"Sending failed; what was sent until then is sent. {one_line(error)}") from None
        except KeyboardInterrupt:
            raise CommandError("Interrupted; what was sent until then is sent.", returncode=130) from None
        self._report(sent)
        if sent.failed:
            raise CommandError("Not everything could be sent; it will be tried again, or was given up.")

    def _once(self, as_json: bool) -> Sent:
        began = time.monotonic()
        # The sweep cannot say that it does not run; this is the timer that can.
        reconcile.check_sweep()
        sent = send_due()
        if as_json:
            self.stdout.write(json.dumps(sent.counts()))
        else:
            figures = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in sent.counts().items())
            self.stdout.write(f"{figures}; {time.monotonic() - began:.1f} s, {time_now()}")
        return sent

    def _report(self, sent: Sent) -> None:
        for channel, error in sent.errors:
            self.stderr.write(f"{time_now()} {channel}: {error}")
