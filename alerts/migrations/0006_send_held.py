from django.db import migrations


class Migration(migrations.Migration):
    """A permission to send what is held back after a restore. State only: no SQL."""

    dependencies = [
        ("alerts", "0008_durations_bounded"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="delivery",
            options={
                "ordering": ["-id"],
                "permissions": [
                    ("retry_delivery", "Can send a given-up delivery again"),
                    ("send_held_delivery", "Can send what is held back after a restore"),
                ],
                "verbose_name_plural": "deliveries",
            },
        ),
    ]
