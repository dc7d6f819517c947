"""The states a bot can be in. Pure. The database's CHECK constraints are built from these same lists."""

from django.db.models import TextChoices


class BotStatus(TextChoices):
    """What a bot is doing. `down`: not seen for a while (DESIGN section 6: 2 minutes)."""

    IDLE = "idle"
    BUSY = "busy"
    DOWN = "down"


class HealthStatus(TextChoices):
    """How a bot is doing: the grade of its worst job."""

    NORMAL = "normal"
    POTENTIALLY_STUCK = "potentially_stuck", "potentially stuck"
    UNHEALTHY = "unhealthy"


#: Graded other than normal. The index `bot_unwell` is over these.
UNWELL = (HealthStatus.POTENTIALLY_STUCK, HealthStatus.UNHEALTHY)
