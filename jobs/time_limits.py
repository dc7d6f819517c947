"""Compute the time limits of a kind: as database expressions, and for a kind that has been read."""

from datetime import timedelta
from typing import Protocol

from django.conf import settings
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce, Now

from jobs.states import JobStatus


class HasRunLimit(Protocol):
    """A kind that has been read."""

    run_within: timedelta | None
    learned_run_within: timedelta | None


def run_limit(kind: str = "") -> Coalesce:
    """How long a job may run: its kind's own limit, else the learned one, else the site's. `kind`: where the kind is.

    For the ORM; `deadline.sql` has the same in SQL, and `limit_of` for a kind that has been read.
    """
    default = Value(settings.DEFAULT_RUN_WITHIN, output_field=models.DurationField())
    return Coalesce(F(f"{kind}run_within"), F(f"{kind}learned_run_within"), default)


def limit_of(kind: HasRunLimit) -> timedelta:
    """The same for one kind."""
    return kind.run_within or kind.learned_run_within or settings.DEFAULT_RUN_WITHIN


def own_limits() -> tuple[Coalesce, Coalesce]:
    """The limits of a job, for how long it may be silent and run: its own, else its kind's. For the ORM."""
    silent = Coalesce(F("heartbeat_within"), F("kind__heartbeat_within"))
    return silent, Coalesce(F("run_within"), run_limit("kind__"))


def past_a_limit() -> Q:
    """A condition on jobs: it is held, and has reached one of its limits (`bots.health` says how far)."""
    silent, running = own_limits()
    return (
        Q(status=JobStatus.CLAIMED, claimed_at__lte=Now() - F("kind__start_within"))
        | Q(status=JobStatus.PROCESSING, heartbeat_at__lte=Now() - silent)
        | Q(status=JobStatus.PROCESSING, started_at__lte=Now() - running)
    )
