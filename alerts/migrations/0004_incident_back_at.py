from django.db import migrations, models


class Migration(migrations.Migration):
    """When an incident last came back. A column without a default: an instant, whatever is there."""

    dependencies = [
        ("alerts", "0003_channels_and_outbox"),
    ]

    operations = [
        migrations.AddField(
            model_name="incident",
            name="back_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
