"""A quarantine is an instance's, which is then probed with a job now and then. Those of bots come over, to be probed.

A bot in quarantine of which no process runs gets the instance without a name.
"""

from django.db import migrations, models
from django.db.models import Q

NAMELESS = """
    INSERT INTO bots_instance (bot_id, name, started_at, last_seen_at)
    SELECT b.id, '', COALESCE(b.last_seen_at, b.created_at), COALESCE(b.last_seen_at, b.created_at)
    FROM bots_bot b
    WHERE b.quarantined_at IS NOT NULL
      AND NOT EXISTS (SELECT FROM bots_instance i WHERE i.bot_id = b.id AND i.ended_at IS NULL)
    ON CONFLICT (bot_id, name) DO UPDATE SET ended_at = NULL, replaced_by = ''
"""
COME_OVER = """
    UPDATE bots_instance i
    SET quarantined_at = b.quarantined_at, quarantine_reason = b.quarantine_reason, cleared_at = b.cleared_at,
        probe_at = CASE WHEN b.quarantined_at IS NOT NULL THEN statement_timestamp() END
    FROM bots_bot b
    WHERE b.id = i.bot_id AND i.ended_at IS NULL AND (b.quarantined_at IS NOT NULL OR b.cleared_at IS NOT NULL)
"""
GO_BACK = """
    UPDATE bots_bot b
    SET quarantined_at = i.quarantined_at, quarantine_reason = i.quarantine_reason, cleared_at = i.cleared_at
    FROM (
        SELECT DISTINCT ON (bot_id) * FROM bots_instance WHERE ended_at IS NULL
        ORDER BY bot_id, quarantined_at, cleared_at DESC
    ) i
    WHERE i.bot_id = b.id AND (i.quarantined_at IS NOT NULL OR i.cleared_at IS NOT NULL)
"""


def moment():
    return models.DateTimeField(blank=True, null=True)


class Migration(migrations.Migration):
    dependencies = [("bots", "0016_restart_of_instances")]

    operations = [
        migrations.AddField("instance", "quarantined_at", moment()),
        migrations.AddField("instance", "quarantine_reason", models.TextField(blank=True, db_default="", default="")),
        migrations.AddField("instance", "cleared_at", moment()),
        migrations.AddField("instance", "probe_at", moment()),
        migrations.AddField("instance", "probe_level", models.PositiveSmallIntegerField(db_default=0, default=0)),
        migrations.AddConstraint(
            "instance",
            models.CheckConstraint(
                name="instance_quarantine_probed",
                condition=Q(quarantined_at=None, probe_at=None)
                | Q(quarantined_at__isnull=False, probe_at__isnull=False),
            ),
        ),
        migrations.AddIndex(
            "instance",
            models.Index(name="instance_quarantined", fields=["bot"], condition=Q(quarantined_at__isnull=False)),
        ),
        # After the table is changed: it may not be while its foreign keys have rows to check.
        migrations.RunSQL(NAMELESS, migrations.RunSQL.noop),
        migrations.RunSQL(COME_OVER, GO_BACK),
    ]
