"""How many slots an instance has, and how many are lost."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("bots", "0015_restart_of_instances")]

    operations = [
        migrations.AddField("instance", "slots", models.PositiveIntegerField(blank=True, null=True)),
        migrations.AddField("instance", "slots_lost", models.PositiveIntegerField(db_default=0, default=0)),
    ]
