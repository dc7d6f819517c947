from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models

SCOPES = [
    "read", "enqueue", "release", "retry", "cancel", "register", "expect", "pause", "resume", "restart", "acknowledge",
    "delete",
]  # fmt: skip


class Migration(migrations.Migration):
    """A key may have the scope to delete jobs."""

    dependencies = [("bots", "0012_kinds_checked")]

    operations = [
        migrations.RemoveConstraint("apikey", "apikey_verbs_valid"),
        migrations.AlterField(
            "apikey",
            "verbs",
            ArrayField(
                models.CharField(max_length=20),
                blank=True,
                db_default=[],
                default=list,
                help_text=f"Only these, comma-separated: {', '.join(SCOPES)}. Empty: all that its user may do.",
            ),
        ),
        migrations.AddConstraint(
            "apikey",
            models.CheckConstraint(name="apikey_verbs_valid", condition=models.Q(verbs__contained_by=SCOPES)),
        ),
    ]
