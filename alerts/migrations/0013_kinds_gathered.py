from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import migrations, models

KIND = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9._:/-]*\Z", "Use letters, digits and . _ : / -, starting with a letter or digit."
)


def kinds() -> ArrayField:
    return ArrayField(models.CharField(max_length=100), default=list, db_default=[], blank=True)


class Migration(migrations.Migration):
    """An incident may be about many kinds."""

    dependencies = [("alerts", "0012_schedule_missed")]

    operations = [
        migrations.AddField("incident", "kinds", kinds()),
        migrations.AddField("incident", "announced", kinds()),
        # State only.
        migrations.AlterField(
            "channel",
            "kinds",
            ArrayField(models.CharField(max_length=100, validators=[KIND]), default=list, blank=True),
        ),
    ]
