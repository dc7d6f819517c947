"""Questions about jobs, as queryset methods with an adjective's name."""

from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce, Now

from jobs.states import FINISHED, HELD, JobStatus

if TYPE_CHECKING:
    from bots.models import Bot
    from jobs.models import Job, JobKind  # noqa: F401


def run_limit(kind: str = "") -> Coalesce:
    """How long a job may run: its kind's own limit, else the learned one, else the site's. `kind`: where the kind is.

    For the ORM; `deadline.sql` says the same, and `limit_of` does for a kind that has been read.
    """
    default = Value(settings.DEFAULT_RUN_WITHIN, output_field=models.DurationField())
    return Coalesce(F(f"{kind}run_within"), F(f"{kind}learned_run_within"), default)


def limit_of(kind: "JobKind") -> timedelta:
    """The same for one kind."""
    return kind.run_within or kind.learned_run_within or settings.DEFAULT_RUN_WITHIN


def past_a_limit() -> Q:
    """A condition on jobs: it is held, and has reached one of its limits (`bots.health` says how far)."""
    return (
        Q(status=JobStatus.CLAIMED, claimed_at__lte=Now() - F("kind__start_within"))
        | Q(status=JobStatus.PROCESSING, heartbeat_at__lte=Now() - F("kind__heartbeat_within"))
        | Q(status=JobStatus.PROCESSING, started_at__lte=Now() - run_limit("kind__"))
    )


class JobQuerySet(models.QuerySet["Job"]):
    """Questions about jobs."""

    def pending(self) -> "JobQuerySet":
        """Jobs that nobody holds and that are not finished."""
        return self.filter(status=JobStatus.PENDING)

    def claimable(self) -> "JobQuerySet":
        """Pending jobs whose time has come and whose kind is not paused, in the order in which they are claimed."""
        return self.pending().filter(run_at__lte=Now(), kind__paused=False).order_by("-priority", "run_at", "id")

    def held(self) -> "JobQuerySet":
        """Jobs under a lease."""
        return self.filter(status__in=HELD)

    def held_by(self, bot: "Bot") -> "JobQuerySet":
        """The jobs this bot holds."""
        # Held if and only if somebody holds it (constraint `job_held_has_lease`).
        return self.filter(claimed_by=bot)

    def due(self) -> "JobQuerySet":
        """Leases at which the sweep must look now."""
        return self.held().filter(deadline_at__lte=Now())

    def stuck(self) -> "JobQuerySet":
        """Leases past one of their limits now: unstarted, silent or overdue (DESIGN section 6)."""
        return self.held().filter(past_a_limit())

    def finished(self) -> "JobQuerySet":
        """Jobs that have ended."""
        return self.filter(status__in=FINISHED)
