"""The outbox."""

import uuid

import django.core.serializers.json
import django.db.models.functions
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="OutboxJob",
            fields=[
                ("id", models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False, serialize=False)),
                ("job", models.JSONField(encoder=django.core.serializers.json.DjangoJSONEncoder)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.Now(), editable=False),
                ),
                ("refused", models.TextField(blank=True, default="")),
            ],
            options={
                "indexes": [
                    models.Index("created_at", "id", condition=models.Q(("refused", "")), name="jobsite_outbox_waiting")
                ],
            },
        ),
    ]
