import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """A delivery does not lock its channel, so that one whose row somebody keeps locked does not stop incidents."""

    dependencies = [("alerts", "0010_folded_notes")]

    operations = [
        migrations.AlterField(
            "delivery",
            "channel",
            models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="deliveries",
                to="alerts.channel",
            ),
        ),
    ]
