"""Why jobs wait for the limits of their kind or group: what is held of how many, and when the next start is free."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count

from bots.models import Bot
from jobs.lifecycle.gates import shut_until
from jobs.limits import Gate
from jobs.models import Job, JobKind
from jobsite.lib.clock import database_now
from jobsite.lib.durations import words

#: How many holders are named, and groups shown.
HOLDERS, SHOWN = 3, 20


@dataclass(frozen=True)
class Reason:
    """One limit that lets no job go now, in words, with its figures."""

    says: str
    figures: dict[str, Any]


def reasons(job: Job) -> list[Reason]:
    """What stands in the way of a pending job that is in the lane of gated jobs, the kind's limits first."""
    kind = job.kind
    gates = {gate.group_name: gate for gate in Gate.objects.filter(kind=kind, group_name__in=["", job.group_name])}
    found: list[Reason] = []
    if kind.limited and (not (gate := gates.get("")) or gate.limited_no != kind.limited_no):
        says = f"the jobs of kind {kind.name} are being prepared for its limits, which were set just now"
        found.append(Reason(says, {"limit": "prepared"}))
    found += _reasons_of(f"kind {kind.name}", Job.objects.filter(kind=kind), gates.get(""), kind.max_held)
    if job.group_name:
        of_group = Job.objects.filter(kind=kind, group_name=job.group_name)
        found += _reasons_of(f"group {job.group_name}", of_group, gates.get(job.group_name), kind.max_held_per_group)
    return found


def shut(kind: JobKind) -> list[Reason]:
    """A throttle of a kind that has no limits."""
    return _reasons_of(
        f"kind {kind.name}", Job.objects.none(), Gate.objects.filter(kind=kind, group_name="").first(), None
    )


def _reasons_of(what: str, jobs: Any, gate: Gate | None, most: int | None) -> list[Reason]:
    found = []
    if most is not None:
        holders = jobs.filter(gated=True, claimed_by__isnull=False).values("claimed_by").annotate(n=Count("pk"))
        counts = {row["claimed_by"]: row["n"] for row in holders.order_by("-n")}
        held = sum(counts.values())
        if held >= most:
            says = f"{held} of {most} jobs of {what} are held by {_names(list(counts))}"
            found.append(Reason(says, {"limit": "held", "held": held, "most": most}))
    if gate is None:
        return found
    now = database_now()
    if gate.shut_until is not None and gate.shut_until > now:
        why = f": {gate.shut_reason}" if gate.shut_reason else ""
        says = f"{what} is shut for {words(gate.shut_until - now)} more, by {gate.shut_by or 'an operator'}{why}"
        found.append(Reason(says, {"limit": "throttle", "until": gate.shut_until}))
    elif free_at := shut_until(gate.pk):
        says = f"the next start of {what} is free in {words(free_at - now)}"
        found.append(Reason(says, {"limit": "rate", "until": free_at}))
    return found


def _names(bots: Sequence[int]) -> str:
    names = dict(Bot.objects.filter(pk__in=bots[:HOLDERS]).values_list("pk", "name"))
    shown = ", ".join(names.get(bot, "a bot that is gone") for bot in bots[:HOLDERS])
    return f"{shown} and {len(bots) - HOLDERS} others" if len(bots) > HOLDERS else shown


@dataclass(frozen=True)
class Line:
    """A kind, or one of its groups, with what is held of how many, and until when it is shut."""

    kind: str
    group: str
    held: int
    most: int | None
    shut_until: datetime | None
    shut_by: str
    shut_reason: str

    @property
    def search(self) -> str:
        """How the list of jobs finds those of the group."""
        return f"group:{shlex.quote(self.group)}"


def lines(kinds: Iterable[JobKind]) -> list[Line]:
    """Those that have limits or are shut, each before its groups that hold jobs or are shut, the fullest first."""
    return [line for kind in kinds for line in _lines(kind)]


def _lines(kind: JobKind) -> list[Line]:
    now = database_now()
    held = Job.objects.filter(kind=kind, gated=True, claimed_by__isnull=False).order_by()
    counts = dict(held.values_list("group_name").annotate(n=Count("pk")).order_by("-n")[:SHOWN])
    # The kind's own comes first.
    gates = Gate.objects.filter(kind=kind, shut_until__gt=now).order_by("group_name")
    shut = {gate.group_name: gate for gate in gates[:SHOWN]}
    others = held.filter(group_name__in=shut.keys() - counts.keys())
    counts |= dict(others.values_list("group_name").annotate(n=Count("pk")))
    groups = [group for group in dict.fromkeys([*shut, *counts]) if group][:SHOWN]
    if not (kind.limited or groups or shut):
        return []
    return [
        Line(
            kind.name, group, held.count() if not group else counts.get(group, 0),
            kind.max_held_per_group if group else kind.max_held,
            gate.shut_until if (gate := shut.get(group)) else None,
            gate.shut_by if gate else "", gate.shut_reason if gate else "",
        )
        for group in ("", *groups)
    ]  # fmt: skip
