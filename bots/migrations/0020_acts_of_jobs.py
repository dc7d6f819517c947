import django.contrib.postgres.fields
from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.db import migrations, models

SCOPES = [
    "read", "enqueue", "release", "retry", "cancel", "register", "expect", "pause", "resume", "restart", "acknowledge",
    "change", "delete", "run", "skip", "resolve", "ignore", "edit", "take_back",
]  # fmt: skip
ACTS = {
    "create": "Create", "change": "Change", "delete": "Delete", "register": "Register", "rotate": "Rotate",
    "revoke": "Revoke", "expect": "Expect", "do_not_expect": "do not expect", "pause": "Pause", "resume": "Resume",
    "clear_quarantine": "clear quarantine", "restart": "Restart", "enqueue": "Enqueue", "release": "Release",
    "retry": "Retry", "cancel": "Cancel", "prioritise": "Prioritise", "accept": "Accept",
    "acknowledge": "Acknowledge", "test": "Test", "retire": "Retire", "send": "Send", "run": "Run", "skip": "Skip",
    "resolve": "Resolve", "ignore": "Ignore", "reopen": "Reopen", "edit": "Edit", "take_back": "take back",
}  # fmt: skip


class Migration(migrations.Migration):
    """What people do with error groups, and edits of jobs, as acts of the audit log and scopes of keys."""

    # The entries that were there before are read under a lock that readers and writers do not notice.
    atomic = False

    dependencies = [("bots", "0018_quarantine_of_instances")]

    operations = [
        migrations.RemoveConstraint("apikey", "apikey_verbs_valid"),
        migrations.RemoveConstraint("auditentry", "auditentry_verb_valid"),
        migrations.AlterField(
            "apikey",
            "verbs",
            django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=20),
                blank=True,
                db_default=[],
                default=list,
                help_text=f"Only these, comma-separated: {', '.join(SCOPES)}. Empty: all that its user may do.",
                size=None,
            ),
        ),
        migrations.AlterField("auditentry", "verb", models.CharField(choices=list(ACTS.items()), max_length=20)),
        migrations.AddConstraint(
            "apikey",
            models.CheckConstraint(name="apikey_verbs_valid", condition=models.Q(verbs__contained_by=SCOPES)),
        ),
        AddConstraintNotValid(
            "auditentry",
            models.CheckConstraint(name="auditentry_verb_valid", condition=models.Q(verb__in=list(ACTS))),
        ),
        ValidateConstraint("auditentry", "auditentry_verb_valid"),
    ]
