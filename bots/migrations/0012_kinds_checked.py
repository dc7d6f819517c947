"""Check the kinds of bots and keys as those of jobs are. State only: no SQL, and rows that are there stay."""

from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import migrations, models

KIND = models.CharField(
    max_length=100,
    validators=[
        RegexValidator(
            r"^[A-Za-z0-9][A-Za-z0-9._:/-]*\Z", "Use letters, digits and . _ : / -, starting with a letter or digit."
        )
    ],
)


class Migration(migrations.Migration):
    dependencies = [("bots", "0011_logins")]

    operations = [
        migrations.AlterField(
            "apikey",
            "kinds",
            ArrayField(
                KIND,
                blank=True,
                db_default=[],
                default=list,
                help_text="Only jobs of these kinds, comma-separated, and nothing else. Empty: no limit.",
            ),
        ),
        migrations.AlterField(
            "bot",
            "kinds",
            ArrayField(
                KIND,
                blank=True,
                default=list,
                help_text="The kinds of job this bot takes, comma-separated. Empty: any.",
            ),
        ),
    ]
