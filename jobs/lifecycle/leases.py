"""Leases under their kinds' limits and policies, with their ages by the database's clock."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce, Now

from bots import health
from jobs.lifecycle.statements import run
from jobs.models import Job, JobKind
from jobs.time_limits import run_limit


def look_again(after: dict[int, timedelta]) -> None:
    """Set when the sweep looks at these leases next: so long from now. The caller holds their row locks."""
    rows = [{"id": job_id, "seconds": max(1, round(delay.total_seconds()))} for job_id, delay in after.items()]
    if rows:
        run("look_again", rows=rows)


@dataclass(frozen=True)
class Watched:
    """One lease under its kind's limits and policies, as the sweep sees it."""

    lease: health.Lease
    limits: health.Limits
    bot_id: int
    attempt: int
    #: The job's attempts are used up when this one ends.
    last: bool
    when_silent: str
    when_overdue: str
    #: How long jobs of its kind take; None when not one has succeeded lately.
    usual: health.Usual | None

    @cached_property
    def grade(self) -> health.Grade:
        """What this lease says of its bot."""
        return health.grade(self.lease, self.limits, self.usual)


def watched(jobs: QuerySet[Job]) -> list[Watched]:
    """These leases (held jobs), with their ages by the database's clock; locked, where `jobs` locks."""
    # Columns and not instances, since there may be thousands and payloads are large; and ages, which come from
    # PostgreSQL as what they are, while each moment would have to be given a time zone first.
    ages = (Now() - F("claimed_at"), Now() - F("started_at"), Now() - Coalesce("heartbeat_at", "claimed_at"))
    used = F("attempt") - F("uncounted")
    rows = list(jobs.values_list("pk", "kind_id", "claimed_by_id", "attempt", "max_attempts", used, *ages))
    kinds = _kinds({row[1] for row in rows})
    return [
        Watched(
            health.Lease(pk, kind, claimed, running, silent),
            kinds[kind][0], bot, attempt, used >= most, *kinds[kind][1:],
        )
        for pk, kind, bot, attempt, most, used, claimed, running, silent in rows
    ]  # fmt: skip


def _kinds(names: set[str]) -> dict[str, tuple[health.Limits, str, str, health.Usual | None]]:
    """Limits and policies of these kinds, and how long their jobs usually take."""
    if not names:
        return {}
    limits = ("start_within", "heartbeat_within", run_limit())
    usual = ("learned__quick", "learned__jobs", "learned__under")
    rows = JobKind.objects.filter(name__in=names).values_list("name", *limits, "when_silent", "when_overdue", *usual)
    return {
        row[0]: (health.Limits(*row[1:4]), row[4], row[5], None if row[6] is None else health.Usual(*row[6:]))
        for row in rows
    }
