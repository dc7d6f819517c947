"""Operators edit pending jobs, take back what they did to jobs that nobody has begun, and save searches."""

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models
from django.db.models import Q
from django.db.models.functions import Now

VERBS = {
    "release": "Release", "expire": "Expire", "fail": "Fail", "retry": "Retry", "cancel": "Cancel", "flag": "Flag",
    "late": "Late", "accept": "Accept", "prioritise": "Prioritise", "replace": "Replace", "defer": "Defer",
    "drop": "Drop", "edit": "Edit", "take_back": "take back",
}  # fmt: skip


class Migration(migrations.Migration):
    dependencies = [("jobs", "0045_failed_alike"), ("bots", "0020_acts_of_jobs")]

    operations = [
        migrations.CreateModel(
            "SavedSearch",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100, unique=True)),
                ("address", models.CharField(blank=True, max_length=2000)),
                ("by", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField(db_default=Now())),
            ],
            options={"ordering": ["name"], "verbose_name_plural": "saved searches"},
        ),
        migrations.RemoveConstraint("jobevent", "jobevent_verb_valid"),
        migrations.AlterField("jobevent", "verb", models.CharField(choices=list(VERBS.items()), max_length=20)),
        AddConstraintNotValid(
            "jobevent", models.CheckConstraint(name="jobevent_verb_valid", condition=Q(verb__in=list(VERBS)))
        ),
        migrations.AlterModelOptions(
            "job",
            {
                "ordering": ["-id"],
                "permissions": [
                    ("release_job", "Can release a job"),
                    ("retry_job", "Can retry a job"),
                    ("cancel_job", "Can cancel a job"),
                    ("accept_job", "Can accept a late result"),
                    ("prioritise_job", "Can change a job's priority"),
                    ("edit_job", "Can edit a pending job"),
                    ("take_back_job", "Can take back what was done to jobs"),
                    ("view_payload", "Can see payloads, results and errors"),
                ],
            },
        ),
    ]
