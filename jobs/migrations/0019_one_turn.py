"""Every call of a bot is one turn, and one function in the database does it with those that it calls.

The function had the same name, and returned other columns: it is dropped first. Stop the web processes for this.
`jobs_exchange` is what was called before `jobs_turns`; nothing calls it any more.
"""

from pathlib import Path

from django.db import migrations, models

#: The functions as they were then. Who changes one adds a migration with the text of that time (`SQL.function`);
#: `check_schema` compares the database with the files of today.
FUNCTIONS = (Path(__file__).parent / "sql" / "0019_one_turn.sql").read_text(encoding="utf-8")


class Migration(migrations.Migration):
    dependencies = [("jobs", "0018_finished_by_kind")]

    operations = [
        migrations.AddIndex(
            "jobkind", models.Index(fields=["name"], condition=models.Q(("paused", True)), name="jobkind_paused")
        ),
        migrations.RunSQL("DROP FUNCTION IF EXISTS jobs_turns; DROP FUNCTION IF EXISTS jobs_exchange", elidable=False),
        migrations.RunSQL(FUNCTIONS),
    ]
