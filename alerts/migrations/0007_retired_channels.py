from django.db import migrations, models


class Migration(migrations.Migration):
    """Channels that are out of use for ever."""

    dependencies = [
        ("alerts", "0006_send_held"),
    ]

    operations = [
        migrations.AddField("channel", "retired_at", models.DateTimeField(blank=True, editable=False, null=True)),
        migrations.AddConstraint(
            "channel",
            models.CheckConstraint(
                condition=models.Q(("retired_at", None), ("enabled", False), _connector="OR"),
                name="channel_retired_is_off",
            ),
        ),
    ]
