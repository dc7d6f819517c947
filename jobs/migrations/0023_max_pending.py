from django.core.validators import MinValueValidator
from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    """How many jobs of a kind may be pending, and whose new jobs were refused because of that."""

    dependencies = [("jobs", "0025_audit_and_payloads")]

    operations = [
        migrations.AddField(
            "jobkind",
            "max_pending",
            models.PositiveIntegerField(
                null=True,
                blank=True,
                validators=[MinValueValidator(1)],
                help_text="How many jobs may be pending before new ones are refused. Empty: as many as the "
                "installation takes.",
            ),
        ),
        migrations.AddConstraint(
            "jobkind",
            models.CheckConstraint(
                name="jobkind_max_pending_positive",
                condition=models.Q(max_pending=None) | models.Q(max_pending__gte=1),
            ),
        ),
        migrations.CreateModel(
            "Refusal",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=100, blank=True, default="", db_default="")),
                ("by", models.CharField(max_length=200)),
                ("key", models.CharField(max_length=200, blank=True, default="", db_default="")),
                (
                    "calls",
                    models.BigIntegerField(default=0, db_default=0, help_text="Calls that were refused since then."),
                ),
                ("since", models.DateTimeField(db_default=Now())),
                ("last_at", models.DateTimeField(db_default=Now())),
            ],
            options={"verbose_name": "refusal of new jobs", "verbose_name_plural": "refusals of new jobs"},
        ),
        migrations.AddConstraint("refusal", models.UniqueConstraint(name="refusal_once", fields=["kind", "by", "key"])),
    ]
