import django.db.models.deletion
from django.db import migrations, models

#: The permission, and those whose holders see payloads today.
PERMISSION, HELD = ("view_payload", "Can see payloads, results and errors"), ("view_job", "add_job")


def grant(apps, schema_editor):
    """Give the new permission to the users and groups that see payloads today. A new database has none."""
    content_type = apps.get_model("contenttypes", "ContentType").objects.filter(app_label="jobs", model="job").first()
    if content_type is None:
        return
    permissions = apps.get_model("auth", "Permission").objects
    codename, name = PERMISSION
    new, _ = permissions.get_or_create(content_type=content_type, codename=codename, defaults={"name": name})
    held = permissions.filter(content_type=content_type, codename__in=HELD)
    for group in apps.get_model("auth", "Group").objects.filter(permissions__in=held).distinct():
        group.permissions.add(new)
    for user in apps.get_model("auth", "User").objects.filter(user_permissions__in=held).distinct():
        user.user_permissions.add(new)


class Migration(migrations.Migration):
    """The operator's act behind an event, and a permission to see payloads, results and errors."""

    dependencies = [
        ("jobs", "0022_epochs"),
        ("bots", "0009_audit"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.AlterModelOptions(
            "job",
            options={
                "ordering": ["-id"],
                "permissions": [
                    ("release_job", "Can release a job"),
                    ("retry_job", "Can retry a job"),
                    ("cancel_job", "Can cancel a job"),
                    ("accept_job", "Can accept a late result"),
                    ("prioritise_job", "Can change a job's priority"),
                    ("view_payload", "Can see payloads, results and errors"),
                ],
            },
        ),
        # No constraint in the database: adding one reads all of the history under a lock.
        migrations.AddField(
            "jobevent",
            "audit",
            models.ForeignKey(
                db_constraint=False,
                db_index=False,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="bots.auditentry",
            ),
        ),
        migrations.RunPython(grant, migrations.RunPython.noop),
    ]
