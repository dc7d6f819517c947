"""Read leases with their kinds' limits and policies, and their ages by the database's clock."""

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property

from django.db.models import F, QuerySet
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


def check_leases(jobs: QuerySet[Job], *, instances: bool = True) -> list[LeaseCheck]:
    """Check these leases (held jobs), with their ages by the database's clock. Locks them where `jobs` does.

    A job that nobody holds any more, since the caller read its number, is left out. Without `instances` these are not
    read: `probe` is false, `identity` empty.
    """
    # Columns and not instances: there may be thousands, with large payloads. Ages and not moments: each moment would
    # be converted to a time zone.
    ages = (Now() - F("claimed_at"), Now() - F("started_at"), Now() - Coalesce("heartbeat_at", "claimed_at"))
    columns = ("pk", "kind_id", "claimed_by_id", "attempt", "max_attempts", attempts.used(), "instance")
    own = ("heartbeat_within", "run_within")
    rows = [row for row in jobs.values_list(*columns, *own, *ages) if row[2] is not None]
    kinds, holders = _kinds({row[1] for row in rows}), _Holders({row[2] for row in rows if instances})
    return [
        LeaseCheck(
            health.Lease(pk, kind, claimed, running, silent),
            _limits(kinds[kind][0], heartbeat_within, run_within), bot, attempt, used >= most and not probe, probe,
            holders.identity(bot, instance), *kinds[kind][1:],
        )
        for pk, kind, bot, attempt, most, used, instance, heartbeat_within, run_within, claimed, running, silent in rows
        for probe in [holders.is_probe(bot, instance, claimed)]
    ]  # fmt: skip


def _limits(of_kind: health.Limits, heartbeat_within: timedelta | None, run_within: timedelta | None) -> health.Limits:
    """The limits of a job, which may have its own."""
    own = {"heartbeat_within": heartbeat_within, "run_within": run_within}
    given = {name: limit for name, limit in own.items() if limit is not None}
    return replace(of_kind, **given) if given else of_kind


class _Holders:
    """The instances of these bots. In place of one without a row: the nameless one, as in `instance.sql`.

    A query of its own: a look-up for each job makes a plan that PostgreSQL thinks is worth compiling.
    """

    def __init__(self, bots: set[int]) -> None:
        columns = ("bot_id", "name", "identity", Now() - F("quarantined_at"))
        found = Instance.objects.filter(bot__in=bots).values_list(*columns) if bots else ()
        self._of = {(bot, name): (identity, quarantined) for bot, name, identity, quarantined in found}

    def _holder(self, bot: int, instance: str) -> tuple[str, timedelta | None]:
        return self._of.get((bot, instance)) or self._of.get((bot, "")) or ("", None)

    def identity(self, bot: int, instance: str) -> str:
        """The identity of the instance that holds a job."""
        return self._holder(bot, instance)[0]

    def is_probe(self, bot: int, instance: str, claimed: timedelta) -> bool:
        """Whether the instance was in quarantine when it got a job so long ago."""
        _, quarantined = self._holder(bot, instance)
        return quarantined is not None and claimed < quarantined


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
