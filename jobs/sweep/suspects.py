"""Judge expiries by what became of the jobs under other instances, and find who else could have them.

An expiry stays open until another instance has had the job. It counts against its own if the job then ended under the
other, and against the job if it expired there, too.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from bots import health
from jobs import lifecycle
from jobs.models import Job, JobEvent, JobQuerySet
from jobs.states import Verb
from jobs.sweep.result import SweepAction, Swept
from jobs.sweep.statements import run
from jobs.sweep.verdicts import Holder
from jobsite.lib.planner import any_of

#: How many jobs are judged in a sweep, how many expiries are read, and how many jobs a reason names.
MAX_JUDGED, MAX_READ, MAX_JOBS_NAMED = 10_000, 10_000, 20


class Expiry(NamedTuple):
    """One expiry of late: a row of `expired.sql`."""

    job: int
    kind: str
    bot: int
    holder_name: str
    instance: int
    name: str
    identity: str
    at: datetime
    last_seen_at: datetime
    fresh: bool
    free: bool
    elsewhere: bool
    against: bool

    @property
    def holder(self) -> Holder:
        return Holder(self.bot, self.identity, self.holder_name)


def lately(kinds: Collection[str] | None = None) -> list[Expiry]:
    """What expired within the window of quarantine, of these kinds or of all; the newest first."""
    window = settings.QUARANTINE_WINDOW
    if not JobEvent.objects.filter(verb=Verb.EXPIRE, at__gte=Now() - window).exists():
        return []
    asked = None if kinds is None else sorted(kinds)
    return [Expiry(**row) for row in run("expired", window=window, kinds=asked, most=MAX_READ)]


def hanging(expiries: Iterable[Expiry]) -> dict[str, list[Expiry]]:
    """Kinds that hang instance after instance, each with what shows it.

    One of its jobs expired under two, or so many of them that then ended elsewhere that two would be in quarantine.
    """
    shown: dict[str, list[Expiry]] = {}
    against: dict[str, Counter[Holder]] = {}
    expiries = list(expiries)
    for one in expiries:
        if one.against and one.fresh:
            against.setdefault(one.kind, Counter())[one.holder] += 1
    several = {
        kind for kind, counts in against.items() if sum(n >= settings.QUARANTINE_EXPIRIES for n in counts.values()) > 1
    }
    for one in expiries:
        if one.elsewhere or (one.against and one.kind in several):
            shown.setdefault(one.kind, []).append(one)
    return shown


def at_fault() -> dict[int, SweepAction]:
    """The quarantines that are due because of what expired, by instance.

    Of an instance that has called since the first of so many expiries: one that has gone needs none. Only where another
    is well: one that hangs now and then is better than none.
    """
    expiries = lately()
    # Its jobs that ended elsewhere hung others as well.
    of_kinds = {kind for kind, shown in hanging(expiries).items() if any(one.against for one in shown)}
    counted: dict[int, list[Expiry]] = {}
    for one in expiries:
        if one.against and one.fresh and one.free and one.kind not in of_kinds:
            counted.setdefault(one.instance, []).append(one)
    least = settings.QUARANTINE_EXPIRIES
    counted = {pk: mine for pk, mine in counted.items() if len(mine) >= least}
    well = _well({one.kind for mine in counted.values() for one in mine})
    actions = {}
    for instance, mine in sorted(counted.items()):
        mine = [one for one in mine if _is_another(well, one.kind, one.holder)]
        if len(mine) >= least and mine[0].last_seen_at > mine[least - 1].at:
            actions[instance] = _quarantine(mine)
    return actions


def _quarantine(mine: list[Expiry]) -> SweepAction:
    most = max(MAX_JOBS_NAMED, settings.QUARANTINE_EXPIRIES)
    jobs = [one.job for one in mine[:most]]
    reason = health.flapping(jobs[::-1], settings.QUARANTINE_WINDOW, others=len(mine) > most)
    return SweepAction("quarantine", mine[0].bot, reason, instance=mine[0].name)


def have_others(checks: Iterable[lifecycle.LeaseCheck]) -> set[int]:
    """The jobs of these leases for which another instance is well."""
    checks = list(checks)
    well = _well({check.lease.kind for check in checks})
    holders = {check.lease.job_id: Holder(check.bot_id, check.identity) for check in checks}
    return {check.lease.job_id for check in checks if _is_another(well, check.lease.kind, holders[check.lease.job_id])}


def _well(kinds: Collection[str]) -> dict[str, list[Holder]]:
    well: dict[str, list[Holder]] = {}
    if kinds:
        for row in run("well", kinds=sorted(kinds), within=settings.BOT_DOWN_AFTER):
            well.setdefault(row["kind"], []).append(Holder(row["bot"], row["identity"]))
    return well


def _is_another(well: dict[str, list[Holder]], kind: str, holder: Holder) -> bool:
    return any(other != holder for other in well.get(kind, ()))


def to_judge(kind: str | None = None) -> JobQuerySet:
    """Jobs that have ended since a lease of theirs expired, which is not judged yet."""
    ended = Job.objects.finished().filter(not_for__isnull=False).order_by("pk")
    return ended if kind is None else ended.filter(kind=kind)


def judge(swept: Swept, kind: str | None = None) -> None:
    """Quarantine instances under which too many jobs expired that then ended under others."""
    ids = list(to_judge(kind).values_list("pk", flat=True)[:MAX_JUDGED])
    if not ids:
        return
    with transaction.atomic():
        rows = to_judge().filter(any_of("pk", ids)).select_for_update(no_key=True, skip_locked=True)
        mine = list(rows.values_list("pk", flat=True))
        actions = at_fault()
        lifecycle.quarantine({instance: action.reason for instance, action in actions.items()})
        lifecycle.judged(mine)
    swept.list_actions([*actions.values()])


def foresee(swept: Swept, kind: str | None = None) -> None:
    """List the quarantines that `judge` would begin."""
    if to_judge(kind).exists():
        swept.actions += at_fault().values()
