"""Django app of the site itself: system checks, and the commands about the whole installation."""

from django.apps import AppConfig


class JobsiteConfig(AppConfig):
    """The project: probes, metrics, system checks and the commands about all of it."""

    name = "jobsite"
    verbose_name = "Jobsite"

    def ready(self) -> None:
        from jobsite import checks  # noqa: F401  importing registers them
