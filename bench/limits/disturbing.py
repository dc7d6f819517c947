"""Change limits, release leases and cut connections until its input ends. Runs as a program with Jobsite's settings.

Prints every limit as JSON: of what, the moments before and after its change, and how many may be held.
"""

import json
import random
import select
import sys
from datetime import datetime

import django

#: Seconds between two disturbances.
EVERY = 0.25
#: Between which bounds the limits of a kind and of a group change.
OF_KIND, OF_GROUP = (32, 128), (6, 24)
KINDS = ("few", "grouped")
#: Ends a connection that is in the middle of something.
CUT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active' ORDER BY random() LIMIT 1
"""


def main() -> None:
    """Disturb until the input ends."""
    django.setup()
    from django.db import connection, transaction

    from jobs import lifecycle
    from jobs.lifecycle import gates
    from jobs.models import Job, JobKind
    from jobsite.lib.clock import database_now

    def change() -> None:
        held, of_group = random.randint(*OF_KIND), random.randint(*OF_GROUP)
        before = database_now()
        with transaction.atomic():
            JobKind.objects.filter(name="few").update(max_held=held)
            JobKind.objects.filter(name="grouped").update(max_held_per_group=of_group)
        # It locks the gates: who claims by the old limits has ended.
        gates.limits_changed(KINDS)
        _say("few", before, database_now(), held)
        _say("grouped", before, database_now(), of_group)

    change()
    n = 0
    while not select.select([sys.stdin], [], [], EVERY)[0]:
        n += 1
        some = list(Job.objects.held().values_list("pk", flat=True)[:2])
        lifecycle.release(some, by=lifecycle.SWEEP, reason="disturbed")
        if n % 4 == 0:
            change()
        if n % 6 == 0:
            with connection.cursor() as cursor:
                cursor.execute(CUT)


def _say(kind: str, before: datetime, after: datetime, held: int) -> None:
    print(json.dumps([kind, before.isoformat(), after.isoformat(), held]), flush=True)


if __name__ == "__main__":
    main()
