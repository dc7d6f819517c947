import django.core.serializers.json
import django.db.models.functions.datetime
from django.db import migrations, models

#: The admin's own log had what people did in the console until now. It stays, and nothing is added to it any more.
COPY = """
    INSERT INTO bots_auditentry (at, by, via, verb, object_type, object_id, object_name, before, after, reason)
    SELECT l.action_time, u.username, 'console',
           CASE l.action_flag WHEN 1 THEN 'create' WHEN 3 THEN 'delete' ELSE 'change' END,
           CASE c.model WHEN 'apikey' THEN 'key' WHEN 'jobkind' THEN 'kind' ELSE COALESCE(left(c.model, 30), '') END,
           left(COALESCE(l.object_id, ''), 100), left(l.object_repr, 300), '{}', '{}', l.change_message
    FROM django_admin_log l
    JOIN auth_user u ON u.id = l.user_id
    LEFT JOIN django_content_type c ON c.id = l.content_type_id
    ORDER BY l.id
"""


class Migration(migrations.Migration):
    """The audit log. It begins with what the admin's own log has."""

    dependencies = [
        ("bots", "0008_labels"),
        ("admin", "0003_logentry_add_action_flag_choices"),
    ]

    operations = [
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("by", models.CharField(blank=True, db_default="", default="", max_length=200)),
                (
                    "via",
                    models.CharField(
                        choices=[("console", "Console"), ("api", "API"), ("command", "Command")], max_length=10
                    ),
                ),
                ("key", models.CharField(blank=True, db_default="", default="", max_length=12)),
                (
                    "verb",
                    models.CharField(
                        choices=[
                            ("create", "Create"),
                            ("change", "Change"),
                            ("delete", "Delete"),
                            ("register", "Register"),
                            ("rotate", "Rotate"),
                            ("revoke", "Revoke"),
                            ("expect", "Expect"),
                            ("do_not_expect", "do not expect"),
                            ("pause", "Pause"),
                            ("resume", "Resume"),
                            ("clear_quarantine", "clear quarantine"),
                            ("restart", "Restart"),
                            ("enqueue", "Enqueue"),
                            ("release", "Release"),
                            ("retry", "Retry"),
                            ("cancel", "Cancel"),
                            ("prioritise", "Prioritise"),
                            ("accept", "Accept"),
                            ("acknowledge", "Acknowledge"),
                            ("test", "Test"),
                            ("retire", "Retire"),
                            ("send", "Send"),
                        ],
                        max_length=20,
                    ),
                ),
                ("object_type", models.CharField(max_length=30, verbose_name="object")),
                ("object_id", models.CharField(blank=True, db_default="", default="", max_length=100)),
                ("object_name", models.CharField(blank=True, db_default="", default="", max_length=300)),
                (
                    "before",
                    models.JSONField(blank=True, default=dict, encoder=django.core.serializers.json.DjangoJSONEncoder),
                ),
                (
                    "after",
                    models.JSONField(blank=True, default=dict, encoder=django.core.serializers.json.DjangoJSONEncoder),
                ),
                ("reason", models.TextField(blank=True, db_default="", default="")),
                ("request_id", models.CharField(blank=True, db_default="", default="", max_length=64)),
            ],
            options={
                "verbose_name": "audit entry",
                "verbose_name_plural": "audit log",
                "ordering": ["-id"],
                "default_permissions": ("view",),
            },
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["object_type", "object_id", "-id"], name="auditentry_of_object"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["by", "-id"], name="auditentry_by"),
        ),
        migrations.AddConstraint(
            model_name="auditentry",
            constraint=models.CheckConstraint(
                condition=models.Q(("via__in", ["console", "api", "command"])), name="auditentry_via_valid"
            ),
        ),
        migrations.AddConstraint(
            model_name="auditentry",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "verb__in",
                        [
                            "create",
                            "change",
                            "delete",
                            "register",
                            "rotate",
                            "revoke",
                            "expect",
                            "do_not_expect",
                            "pause",
                            "resume",
                            "clear_quarantine",
                            "restart",
                            "enqueue",
                            "release",
                            "retry",
                            "cancel",
                            "prioritise",
                            "accept",
                            "acknowledge",
                            "test",
                            "retire",
                            "send",
                        ],
                    )
                ),
                name="auditentry_verb_valid",
            ),
        ),
        migrations.RunSQL(COPY, migrations.RunSQL.noop),
    ]
