"""Django app of jobs: the work, its kinds and its history."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """The work: jobs, their kinds and their history."""

    name = "jobs"
    default_auto_field = "django.db.models.BigAutoField"
