from django.db import migrations, models


class Migration(migrations.Migration):
    """A line of an incident's history may stand for others of the sweep."""

    dependencies = [("alerts", "0009_refused")]

    operations = [
        migrations.AddField("incidentnote", "folded", models.PositiveIntegerField(db_default=0, default=0)),
    ]
