"""The words of incidents and their messages. The models' constraints are built from these. Pure."""

from django.db.models import TextChoices


class Cause(TextChoices):
    """What an incident is about."""

    STUCK = "stuck", "bots are stuck"
    QUARANTINED = "quarantined", "bots are in quarantine"
    DOWN = "down", "bots are down"
    WAITING = "waiting", "jobs wait too long"
    FAILING = "failing", "jobs fail more often than usual"
    UNSWEPT = "unswept", "the sweep has not run"


class Severity(TextChoices):
    """How much it matters. In this order."""

    WARNING = "warning", "warning"
    CRITICAL = "critical", "critical"


class IncidentStatus(TextChoices):
    """Where an incident stands. No column has it: it follows from `acknowledged_at` and `resolved_at`."""

    OPEN = "open", "open"
    ACKNOWLEDGED = "acknowledged", "acknowledged"
    RESOLVED = "resolved", "resolved"


class Moment(TextChoices):
    """What about an incident a message tells."""

    OPENED = "opened", "opened"
    WORSE = "worse", "got worse"
    AGAIN = "again", "goes on"
    RESOLVED = "resolved", "resolved"


class DeliveryStatus(TextChoices):
    """Where a message is on its way. Everything but `waiting` is an end."""

    WAITING = "waiting", "waiting"
    SENT = "sent", "sent"
    DROPPED = "dropped", "not needed any more"
    GIVEN_UP = "given_up", "given up"


class Way(TextChoices):
    """How a channel sends."""

    APPRISE = "apprise", "a service that Apprise can reach"
    WEBHOOK = "webhook", "signed JSON to a URL"
