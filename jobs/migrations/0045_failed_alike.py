"""Find failed jobs whose errors are alike. Built beside the work."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Func, Q
from django.db.models.functions import MD5

WORDS = Func("error", function="jobs_error_words", output_field=models.TextField())


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("jobs", "0044_error_groups")]

    operations = [
        AddIndexConcurrently(
            "job", models.Index("kind", MD5(WORDS), "id", name="job_failed_alike", condition=Q(status="failed"))
        ),
    ]
