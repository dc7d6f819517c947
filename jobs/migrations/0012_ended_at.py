"""When leases ended other than well: an index over those events alone, made while everybody works.

The tally of leases reads each minute's of them, and the release patterns the newest of a range. Flags, late results,
retries and changes of priority are left out: they end no lease.
"""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # An index is made without a lock only outside a transaction.
    atomic = False

    dependencies = [
        ("jobs", "0011_lease_tally"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="jobevent",
            index=models.Index(
                condition=models.Q(("verb__in", ("release", "expire", "fail", "cancel"))),
                fields=["at"],
                name="jobevent_ended_at",
            ),
        ),
    ]
