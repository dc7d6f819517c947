"""The app, for its command `run_jobsite_bot`."""

from django.apps import AppConfig


class JobsiteClientConfig(AppConfig):
    """The app in INSTALLED_APPS."""

    name = "jobsite_client.django"
    label = "jobsite_client"
    verbose_name = "Jobsite"
