"""Enumerations of incidents and deliveries. The models' constraints are built from these. Pure."""

from django.db.models import TextChoices

#: How a webhook's secret begins, if it signs by Standard Webhooks.
SECRET_PREFIX = "whsec_"  # noqa: S105  a prefix, no secret
#: What an incident about many kinds has in `about`. No kind can be called so.
GATHERED = "*"


class Cause(TextChoices):
    """What an incident is about."""

    STUCK = "stuck", "bots are stuck"
    QUARANTINED = "quarantined", "bots are in quarantine"
    DOWN = "down", "bots are down"
    KIND_HANGS = "kind_hangs", "jobs hang under several bots"
    SLOTS_LOST = "slots_lost", "bots have lost slots"
    WAITING = "waiting", "jobs wait too long"
    FAILING = "failing", "jobs fail more often than usual"
    ERROR_NEW = "error_new", "jobs fail with a new error"
    ERROR_BACK = "error_back", "jobs fail with an error that was resolved"
    REFUSED = "refused", "new jobs are refused"
    SCHEDULE_MISSED = "schedule_missed", "moments of a schedule were missed"
    UNSWEPT = "unswept", "the sweep has not run"


class Severity(TextChoices):
    """The severities, in ascending order."""

    WARNING = "warning", "warning"
    CRITICAL = "critical", "critical"


#: The order of severities.
SEVERITY_RANK = {severity: rank for rank, severity in enumerate(Severity)}


class IncidentStatus(TextChoices):
    """An incident's status. Not a column: it follows from `acknowledged_at` and `resolved_at`."""

    OPEN = "open", "open"
    ACKNOWLEDGED = "acknowledged", "acknowledged"
    RESOLVED = "resolved", "resolved"


class Moment(TextChoices):
    """The change of an incident that a notification is about."""

    OPENED = "opened", "opened"
    WORSE = "worse", "got worse"
    AGAIN = "again", "reminder"
    RESOLVED = "resolved", "resolved"


class DeliveryStatus(TextChoices):
    """A delivery's status. All but `waiting` are final."""

    WAITING = "waiting", "waiting"
    SENT = "sent", "sent"
    DROPPED = "dropped", "no longer needed"
    GIVEN_UP = "given_up", "given up"


class Way(TextChoices):
    """A channel's type."""

    APPRISE = "apprise", "Apprise (mail, Slack, …)"
    WEBHOOK = "webhook", "Webhook (signed JSON)"
