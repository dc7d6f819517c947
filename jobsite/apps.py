"""Django app of the site itself: system checks, and the commands about the whole installation."""

from django.apps import AppConfig


class JobsiteConfig(AppConfig):
    """The site itself: probes, system checks and the commands that are about the whole."""

    name = "jobsite"
    verbose_name = "Jobsite"

    def ready(self) -> None:
        from jobsite import checks  # noqa: F401  importing registers them
