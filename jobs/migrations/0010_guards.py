"""No foreign key of a job is looked up for each claim, completion and new job (docs/decisions/0035)."""

import django.db.models.deletion
from django.db import migrations, models

from jobs.lifecycle.statements import SQL

DROP = "DROP FUNCTION {} CASCADE"


def unchecked(to: str, **options: object) -> models.ForeignKey:
    return models.ForeignKey(to=to, db_constraint=False, db_index=False, **options)  # type: ignore[call-overload]


class Migration(migrations.Migration):
    dependencies = [("jobs", "0009_turns_together"), ("bots", "0005_what_the_sweep_asks")]

    operations = [
        # Rather give up, and be run again, than queue behind a long transaction with every bot queueing behind us.
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        # The guards first: there is no moment without either.
        migrations.RunSQL(SQL.function("guard_bot"), DROP.format("jobs_guard_bot")),
        migrations.RunSQL(SQL.function("guard_kind"), DROP.format("jobs_guard_kind")),
        migrations.AlterField(
            "job", "kind",
            unchecked("jobs.jobkind", on_delete=django.db.models.deletion.PROTECT, related_name="jobs"),
        ),
        migrations.AlterField(
            "job", "claimed_by",
            unchecked(
                "bots.bot", null=True, blank=True, on_delete=django.db.models.deletion.PROTECT,
                related_name="held_jobs",
            ),
        ),
        migrations.AlterField(
            "job", "finished_by",
            unchecked(
                "bots.bot", null=True, blank=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+"
            ),
        ),
    ]  # fmt: skip
