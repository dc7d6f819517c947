"""Django app of bots: the workers, their tokens and their health."""

from django.apps import AppConfig


class BotsConfig(AppConfig):
    """Bots, their tokens, API keys, and health."""

    name = "bots"
    default_auto_field = "django.db.models.BigAutoField"
