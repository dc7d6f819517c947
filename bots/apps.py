"""Django app of bots: the workers, their tokens and their health."""

from django.apps import AppConfig


class BotsConfig(AppConfig):
    """The workers: bots, the tokens they carry, and their health."""

    name = "bots"
    default_auto_field = "django.db.models.BigAutoField"
