"""Error groups: failures of one kind whose errors are alike, and the function that says which are."""

from pathlib import Path

from django.db import migrations, models
from django.db.models import Q

WORDS = (Path(__file__).parent / "sql" / "0044_error_words.sql").read_text(encoding="utf-8")
STATUSES = {"open": "Open", "resolved": "Resolved", "ignored": "Ignored"}


class Migration(migrations.Migration):
    dependencies = [("jobs", "0039_limits_indexes")]

    operations = [
        migrations.RunSQL(WORDS, "DROP FUNCTION jobs_error_words"),
        migrations.CreateModel(
            "ErrorGroup",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=100)),
                ("fingerprint", models.CharField(max_length=32)),
                ("words", models.TextField()),
                (
                    "status",
                    models.CharField(choices=list(STATUSES.items()), db_default="open", default="open", max_length=10),
                ),
                ("count", models.BigIntegerField(db_default=0, default=0)),
                ("hours", models.JSONField(blank=True, db_default={}, default=dict)),
                ("bots", models.JSONField(blank=True, db_default={}, default=dict)),
                ("versions", models.JSONField(blank=True, db_default={}, default=dict)),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
                ("last_job", models.BigIntegerField()),
                ("changed_at", models.DateTimeField(blank=True, null=True)),
                ("changed_by", models.CharField(blank=True, db_default="", default="", max_length=200)),
                ("reason", models.TextField(blank=True, db_default="", default="")),
                ("back_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ["-last_at", "-pk"],
                "permissions": [("resolve_errorgroup", "Can resolve or ignore an error group")],
                "constraints": [
                    models.UniqueConstraint(fields=("kind", "fingerprint"), name="errorgroup_once"),
                    models.CheckConstraint(condition=Q(status__in=list(STATUSES)), name="errorgroup_status_valid"),
                ],
                "indexes": [models.Index(fields=["last_at", "id"], name="errorgroup_last")],
            },
        ),
        migrations.AddField("rollupstate", "errors_until", models.DateTimeField(blank=True, null=True)),
    ]
