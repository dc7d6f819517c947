"""Detect kinds whose jobs hang under one bot after the other: then the jobs are at fault, and not the bots."""

from django.conf import settings

from alerts.incidents.detectors import Finding, name_list
from alerts.states import Cause, Severity
from jobs.sweep import suspects
from jobsite.lib.durations import words

#: How many jobs a reason names.
JOBS_NAMED = 5


def detect(kind: str | None = None) -> list[Finding]:
    """Find kinds whose jobs expired under several bots within the window of quarantine."""
    shown = suspects.hanging(suspects.lately(None if kind is None else [kind]))
    return [_finding(name, expiries) for name, expiries in sorted(shown.items())]


def _finding(kind: str, expiries: list[suspects.Expiry]) -> Finding:
    under: dict[int, dict[str, None]] = {}
    for one in reversed(expiries):
        under.setdefault(one.job, {})[str(one.holder)] = None
    named = [f"job {job} under {', '.join(bots)}" for job, bots in under.items()]
    within = words(settings.QUARANTINE_WINDOW)
    reason = f"Expired under several bots within {within}, none of which is in quarantine for that: "
    title = f"{kind} jobs hang under several bots"
    return Finding(Cause.KIND_HANGS, kind, Severity.WARNING, title, f"{reason}{name_list(named, JOBS_NAMED)}.", kind)
