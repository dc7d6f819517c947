import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

NAMES = """
    UPDATE bots_apikey k SET username = u.username FROM auth_user u WHERE u.id = k.user_id
"""


class Migration(migrations.Migration):
    """The scope, expiry and last address of keys, which outlive their users; and what roles were granted."""

    dependencies = [
        ("bots", "0009_audit"),
        ("auth", "0012_alter_user_first_name_max_length"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="RoleGrant",
            fields=[
                ("role", models.CharField(max_length=100, primary_key=True, serialize=False)),
                (
                    "granted",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=100), default=list, size=None
                    ),
                ),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.AddField(
            model_name="apikey",
            name="expires_at",
            field=models.DateTimeField(blank=True, help_text="Empty: never.", null=True, verbose_name="expires"),
        ),
        migrations.AddField(
            model_name="apikey",
            name="kinds",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=100),
                blank=True,
                db_default=[],
                default=list,
                help_text="Only jobs of these kinds, comma-separated, and nothing else. Empty: no limit.",
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="apikey",
            name="last_used_from",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=45),
        ),
        migrations.AddField(
            model_name="apikey",
            name="read_only",
            field=models.BooleanField(db_default=False, default=False, help_text="It may read and change nothing."),
        ),
        migrations.AddField(
            model_name="apikey",
            name="username",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=150),
        ),
        migrations.AddField(
            model_name="apikey",
            name="verbs",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=20),
                blank=True,
                db_default=[],
                default=list,
                help_text="Only these, comma-separated: read, enqueue, release, retry, cancel, register, expect, pause, resume, restart, acknowledge. Empty: all that its user may do.",
                size=None,
            ),
        ),
        migrations.AlterField(
            model_name="apikey",
            name="user",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="api_keys",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddConstraint(
            model_name="apikey",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "verbs__contained_by",
                        [
                            "read",
                            "enqueue",
                            "release",
                            "retry",
                            "cancel",
                            "register",
                            "expect",
                            "pause",
                            "resume",
                            "restart",
                            "acknowledge",
                        ],
                    )
                ),
                name="apikey_verbs_valid",
            ),
        ),
        migrations.AddField(
            model_name="rolegrant",
            name="group",
            field=models.OneToOneField(
                null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to="auth.group"
            ),
        ),
        migrations.RunSQL(NAMES, migrations.RunSQL.noop),
    ]
