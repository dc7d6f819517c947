"""What a bot fails or hands back is announced after its transaction, which a full queue of notifications made fail."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"
FUNCTIONS = (SQL / "0027_notify_after_commit.sql").read_text(encoding="utf-8")
BEFORE = (SQL / "0022_epochs.sql").read_text(encoding="utf-8")


class Migration(migrations.Migration):
    dependencies = [("jobs", "0023_max_pending")]

    operations = [migrations.RunSQL(FUNCTIONS, BEFORE)]
