"""Read leases with their kinds' limits and policies, and their ages by the database's clock."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from django.db.models import F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.expressions import Case, When
from django.db.models.functions import Coalesce, Now

from bots import health
from bots.instances import Instance
from jobs import attempts
from jobs.lifecycle.statements import run
from jobs.models import Job, JobKind
from jobs.time_limits import run_limit


def schedule_checks(after: dict[int, timedelta]) -> None:
    """Set when the sweep checks these leases next: `{job: delay}`. The caller holds their row locks."""
    rows = [{"id": job_id, "seconds": max(1, round(delay.total_seconds()))} for job_id, delay in after.items()]
    if rows:
        run("schedule_checks", rows=rows)


@dataclass(frozen=True)
class LeaseCheck:
    """One lease with its kind's limits and policies, as the sweep checks it."""

    lease: health.Lease
    limits: health.Limits
    bot_id: int
    attempt: int
    #: Whether this is the job's last attempt.
    last: bool
    #: Whether it was given to an instance in quarantine as a probe: its expiry is not counted.
    probe: bool
    #: The identity of the instance that holds it.
    identity: str
    when_silent: str
    when_overdue: str
    #: How long jobs of its kind take; None when none has succeeded recently.
    usual: health.Usual | None

    @cached_property
    def grade(self) -> health.Grade:
        """The grade that this lease gives its bot."""
        return health.grade(self.lease, self.limits, self.usual)


def check_leases(jobs: QuerySet[Job]) -> list[LeaseCheck]:
    """Check these leases (held jobs), with their ages by the database's clock. Locks them where `jobs` does.

    A job that nobody holds any more, since the caller read its number, is left out.
    """
    # Columns and not instances: there may be thousands, with large payloads. Ages and not moments: each moment would
    # be converted to a time zone.
    ages = (Now() - F("claimed_at"), Now() - F("started_at"), Now() - Coalesce("heartbeat_at", "claimed_at"))
    columns = ("pk", "kind_id", "claimed_by_id", "attempt", "max_attempts", attempts.used())
    rows = [row for row in jobs.values_list(*columns, _probe(), _identity(), *ages) if row[2] is not None]
    kinds = _kinds({row[1] for row in rows})
    return [
        LeaseCheck(
            health.Lease(pk, kind, claimed, running, silent),
            kinds[kind][0], bot, attempt, used >= most and not probe, probe, identity, *kinds[kind][1:],
        )
        for pk, kind, bot, attempt, most, used, probe, identity, claimed, running, silent in rows
    ]  # fmt: skip


def _of_instance(column: str) -> Subquery:
    """A column of the instance that holds a job. Of one without a row: of the nameless one, as in `instance.sql`."""
    own = Instance.objects.filter(Q(name=OuterRef("instance")) | Q(name=""), bot=OuterRef("claimed_by"))
    return Subquery(own.order_by("-name").values(column)[:1])


def _probe() -> Case:
    """Whether that instance was in quarantine when it got the job."""
    return Case(When(claimed_at__gt=_of_instance("quarantined_at"), then=True), default=False)


def _identity() -> Coalesce:
    return Coalesce(_of_instance("identity"), Value(""))


def _kinds(names: set[str]) -> dict[str, tuple[health.Limits, str, str, health.Usual | None]]:
    """Read limits and policies of these kinds, and how long their jobs usually take."""
    if not names:
        return {}
    limits = ("start_within", "heartbeat_within", run_limit())
    usual = ("learned__quick", "learned__jobs", "learned__under")
    rows = JobKind.objects.filter(name__in=names).values_list("name", *limits, "when_silent", "when_overdue", *usual)
    return {
        row[0]: (health.Limits(*row[1:4]), row[4], row[5], None if row[6] is None else health.Usual(*row[6:]))
        for row in rows
    }
