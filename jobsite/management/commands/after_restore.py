"""`manage.py after_restore`: what there is to do after a restore, and sending alerts again."""

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from alerts.delivery import held
from bots import audit
from jobs import lifecycle
from jobs.attempts import EPOCH
from jobs.lifecycle import By
from jobs.models import Job
from jobs.states import Actor
from jobsite.lib import site
from jobsite.lib.loop import DATABASE_AWAY, error_line

#: Who releases what was held.
BY = By(Actor.OPERATOR, "after_restore")
REASON = "The database was restored, and this lease cannot be told from one that is lost."
#: How many jobs one transaction releases.
BATCH = 1000


class Command(BaseCommand):
    help = (
        "Run this after each restore, before the web servers start: begin a new epoch, move ids on, release what bots "
        "held, and hold alerts back. With --send-alerts: send them again. A second run does the same once more, and "
        "loses nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="print what would be done, and change nothing")
        parser.add_argument(
            "--send-alerts", action="store_true", help="only send what is held back: this is production"
        )

    def handle(self, *, dry_run: bool, send_alerts: bool, **options: Any) -> None:
        try:
            if send_alerts:
                self._send_alerts(dry_run)
            elif dry_run:
                self._preview()
            else:
                self._restored()
        except DATABASE_AWAY as error:
            raise CommandError(f"Failed. What is printed above is done; run it again. {error_line(error)}") from None

    def _send_alerts(self, dry_run: bool) -> None:
        was = held.held() if dry_run else held.send(by=audit.COMMAND)
        if was is None:
            self.stdout.write("Alerts are not held back.")
        else:
            self.stdout.write(f"{'Alerts are' if dry_run else 'Alerts are sent again. They were'} {was}.")

    def _preview(self) -> None:
        self.stdout.write(f"Dry run. Epoch {site.state()[0] + 1} would begin, and ids would go on far beyond.")
        self.stdout.write(f"Jobs that bots hold, which would be released: {Job.objects.held().count()}.")
        self.stdout.write(f"Alerts: {held.held() or 'would be held back'}.")

    def _restored(self) -> None:
        # None: another process began one at the same time. Its ids may be of before the restore.
        epoch = site.declare() or site.declare()
        if epoch is None:
            raise CommandError("Other processes begin epochs just now. Nothing was done; run it again.")
        self.stdout.write(f"Epoch {epoch.number} begins.")
        for name, (was, now) in epoch.ids.items():
            self.stdout.write(f"{name}: {was} → {now}")
        self.stdout.write(f"Jobs that bots held, released: {sum(_release(epoch.number))}.")
        self.stdout.write(f"Alerts: {held.held()}. {held.COMMAND}")
        if epoch.unmoved:
            names = ", ".join(epoch.unmoved)
            raise CommandError(f"This role may not move the ids of {names}. Run it again as the owner of the tables.")


def _release(epoch: int) -> Iterator[int]:
    """Release all leases from before the epoch. Yields how many, batch by batch."""
    before = Job.objects.held().filter(attempt__lt=epoch * EPOCH).order_by("pk")
    while ids := list(before.values_list("pk", flat=True)[:BATCH]):
        yield len(lifecycle.release(ids, by=BY, reason=REASON))
