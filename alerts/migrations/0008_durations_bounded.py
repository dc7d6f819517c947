"""Bound the durations of channels: one that no date can hold broke the sender. Longer ones are shortened to the bound."""

from datetime import timedelta

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import migrations, models
from django.db.models import Q

LONGEST = timedelta(days=36_500)
NONE, MINUTE = timedelta(0), timedelta(minutes=1)

SHORTEN = """
UPDATE alerts_channel
SET after = GREATEST(LEAST(after, interval '36500 days'), interval '0'),
    again_every = CASE WHEN again_every IS NOT NULL
                       THEN GREATEST(LEAST(again_every, interval '36500 days'), interval '1 minute') END
WHERE after NOT BETWEEN interval '0' AND interval '36500 days'
   OR again_every NOT BETWEEN interval '1 minute' AND interval '36500 days'
"""


class Migration(migrations.Migration):
    dependencies = [("alerts", "0005_labels")]

    operations = [
        migrations.AlterField(
            "channel",
            "after",
            models.DurationField(
                "delay",
                default=NONE,
                db_default=NONE,
                validators=[MinValueValidator(NONE), MaxValueValidator(LONGEST)],
            ),
        ),
        migrations.AlterField(
            "channel",
            "again_every",
            models.DurationField(
                "repeat every",
                null=True,
                blank=True,
                validators=[MinValueValidator(MINUTE), MaxValueValidator(LONGEST)],
            ),
        ),
        migrations.RunSQL(SHORTEN, migrations.RunSQL.noop),
        migrations.AddConstraint(
            "channel",
            models.CheckConstraint(
                name="channel_durations_bounded",
                condition=Q(after__gte=NONE, after__lte=LONGEST)
                & (Q(again_every=None) | Q(again_every__gte=MINUTE, again_every__lte=LONGEST)),
            ),
        ),
    ]
