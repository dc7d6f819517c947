"""The states a bot can be in. Pure. The database's CHECK constraints are built from these same lists."""

from django.db.models import TextChoices


class BotStatus(TextChoices):
    """What a bot is doing. `down`: it has not called for `BOT_DOWN_AFTER`."""

    IDLE = "idle"
    BUSY = "busy"
    DOWN = "down"


class HealthStatus(TextChoices):
    """A bot's health: the worst of its leases."""

    NORMAL = "normal"
    POTENTIALLY_STUCK = "potentially_stuck", "potentially stuck"
    UNHEALTHY = "unhealthy"


#: Not healthy. The index `bot_unwell` is over these.
UNWELL = (HealthStatus.POTENTIALLY_STUCK, HealthStatus.UNHEALTHY)
