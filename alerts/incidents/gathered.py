"""Gather findings of one cause about many kinds into one, so that an outage is one incident and one notification."""

from collections.abc import Collection, Sequence

from alerts.incidents.detectors import Finding, cut_title, name_list
from alerts.models import Incident
from alerts.states import GATHERED, SEVERITY_RANK, Cause

#: From this many kinds on, those that have no incident of their own yet share one.
GATHERED_FROM = 5
#: How many kinds a title names, and of how many a reason has the evidence. The incident's page lists them all.
KINDS_IN_TITLE, KINDS_IN_REASON = 3, 5

_TITLES = {
    Cause.STUCK: "Bots are stuck on jobs of {} kinds",
    Cause.KIND_HANGS: "Jobs of {} kinds hang under several bots",
    Cause.WAITING: "Jobs of {} kinds wait too long",
    Cause.FAILING: "Jobs of {} kinds fail more often than usual",
    Cause.ERROR_NEW: "Jobs of {} kinds fail with new errors",
    Cause.ERROR_BACK: "Jobs of {} kinds fail with errors that were resolved",
    Cause.REFUSED: "New jobs of {} kinds are refused: too many are pending",
    Cause.SCHEDULE_MISSED: "{} schedules were missed",
}


def gather(
    findings: Sequence[Finding], open_ones: Collection[Incident], locked: Collection[tuple[str, str]] = ()
) -> list[Finding]:
    """Replace the findings of a cause by one where they concern many kinds, or where that incident is open already.

    A kind, or a schedule, with an open incident of its own keeps it until it resolves. `locked`: cause and subject of
    open incidents that somebody else keeps locked.
    """
    own = {(incident.cause, incident.about) for incident in open_ones} | set(locked)
    found = [one for one in findings if not _may_join(one) or (one.cause, one.about) in own]
    new: dict[Cause, list[Finding]] = {}
    for one in findings:
        if _may_join(one) and (one.cause, one.about) not in own:
            new.setdefault(one.cause, []).append(one)
    for cause, ones in new.items():
        there = sum(of == cause and about not in ("", GATHERED) for of, about in own)
        if (cause, GATHERED) in own or len(ones) + there >= GATHERED_FROM:
            ones = [_gathered(cause, ones)]
        found += ones
    return found


def _may_join(one: Finding) -> bool:
    return bool(one.kind) and one.cause in _TITLES


def without_gathered(findings: Sequence[Finding], kind: str) -> list[Finding]:
    """Leave out what an open incident about many kinds has. For a reconciliation of this kind alone."""
    causes = set(Incident.objects.open().filter(about=GATHERED, kinds__contains=[kind]).values_list("cause", flat=True))
    return [one for one in findings if one.cause not in causes]


def _gathered(cause: Cause, ones: Sequence[Finding]) -> Finding:
    # The most urgent first, since a title and a reason have room for few.
    ones = sorted(ones, key=lambda one: (-SEVERITY_RANK[one.severity], one.about))
    title = ones[0].title
    if len(ones) > 1:
        names = name_list([one.about for one in ones], KINDS_IN_TITLE)
        title = cut_title(f"{_TITLES[cause].format(len(ones))}: {names}")
    reason = " ".join(f"{one.about}: {one.reason}" for one in ones[:KINDS_IN_REASON])
    more = f" And {len(ones) - KINDS_IN_REASON} more." if len(ones) > KINDS_IN_REASON else ""
    bots = [bot for one in ones for bot in one.bots]
    usual = {one.about: one.usual for one in ones if one.usual}
    kinds = tuple(dict.fromkeys(one.kind for one in ones))
    return Finding(cause, GATHERED, ones[0].severity, title, reason + more, "", bots, usual, kinds)
