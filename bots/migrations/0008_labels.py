import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    """The help text of a bot's kinds. State only: no SQL."""

    dependencies = [
        ("bots", "0005_squashed_0007_expected"),
    ]

    operations = [
        migrations.AlterField(
            model_name="bot",
            name="kinds",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=100),
                blank=True,
                default=list,
                help_text="The kinds of job this bot takes, comma-separated. Empty: any.",
                size=None,
            ),
        ),
    ]
