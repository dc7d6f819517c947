"""Keep how many jobs of each kind were pending, and due, over time."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0047_verbs_valid")]

    operations = [
        migrations.AddField("jobrollup", "pending", models.BigIntegerField(blank=True, null=True)),
        migrations.AddField("jobrollup", "due", models.BigIntegerField(blank=True, null=True)),
    ]
