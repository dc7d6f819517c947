"""Act on all matching jobs in steps (`jobs.admin.steps`), which are one act of the audit log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html

from bots import audit
from jobs import uniqueness
from jobs.admin import steps, take_back
from jobs.admin.actions import Intervention, act
from jobs.admin.steps import number
from jobs.lists import job_list
from jobs.lists.job_list import JobFilter
from jobs.models import Job, JobQuerySet
from jobs.stats.counts import Count

#: The most jobs of the list in one step.
STEP = 2000


def newest(job_filter: JobFilter, statuses: Sequence[str]) -> JobQuerySet:
    """The newest jobs that will be changed, searched for among as many as one step takes."""
    return job_filter.jobs().filter(pk__in=job_list.in_statuses(job_filter, statuses, most=STEP))


@dataclass
class Walk:
    """How far the act is: the last job it came to, that at which it ends, its number, and what was done.

    `total` is set by the first step alone: jobs whose status changes drop out of the count. None: not yet; 0: too many.
    """

    here: int
    until: int
    act: int
    done: int
    left: int
    taken: int
    seen: int
    total: int | None

    @classmethod
    def from_form(cls, request: HttpRequest) -> "Walk":
        """As the form has it. Jobs that are enqueued after the act began are left out."""
        done = {name: number(request, name) for name in ("here", "done", "left", "taken", "seen")}
        until = number(request, "until") or Job.objects.order_by("-id").values_list("pk", flat=True).first() or 0
        total = number(request, "total") if "total" in request.POST else None
        return cls(until=until, act=number(request, "act") or audit.reserve(), total=total, **done)

    def add(self, batch: Sequence[int], done: int, left: int, taken: int) -> None:
        """Count a step."""
        self.here, self.seen = batch[-1], self.seen + len(batch)
        self.done, self.left, self.taken = self.done + done, self.left + left, self.taken + taken

    def show(
        self, page: admin.ModelAdmin, request: HttpRequest, intervention: Intervention, given: Mapping[str, Any],
        *, waits: bool = False,
    ) -> HttpResponse:  # fmt: skip
        """Show the progress. `waits`: the next step does not start by itself."""
        asked = {"action": request.POST.get("action", ""), "select_across": 1, "_selected_action": 0, **given}
        total = Count(self.total or job_list.EXACT, at_least=not self.total)
        message = intervention.message(self.done, self.left, self.taken)
        fields = asked | vars(self)
        return steps.progress(page, request, intervention.label, message, self.seen, total, fields, waits=waits)


def step(
    page: admin.ModelAdmin,
    request: HttpRequest,
    intervention: Intervention,
    job_filter: JobFilter,
    given: dict[str, Any],
) -> HttpResponse:
    """Do one step, and show the progress, or at the end the outcome."""
    walk, batch = Walk.from_form(request), list[int]()
    if not steps.is_stopped(request):
        here, until = walk.here, walk.until
        batch = job_list.in_statuses(job_filter, intervention.statuses, after=here, until=until, most=STEP)
    if batch:
        walk.add(batch, *_change(request, intervention, job_filter, batch, given, walk.act))
    if len(batch) < STEP:
        text = intervention.message(walk.done, walk.left, walk.taken)
        text = f"Stopped. {text} The rest is unchanged." if steps.is_stopped(request) else text
        if walk.done:
            text = format_html("{}{}", text, take_back.offered(request, intervention.name, walk.act))
        return steps.outcome(page, request, text, request.get_full_path(), changed_any=walk.done > 0)
    if walk.total is None:
        rest = job_list.count_to_process(job_filter, intervention.statuses, after=walk.here, until=walk.until)
        walk.total = 0 if rest.at_least else rest.n + walk.seen
    return walk.show(page, request, intervention, given)


def _change(
    request: HttpRequest,
    intervention: Intervention,
    job_filter: JobFilter,
    batch: Sequence[int],
    given: dict[str, Any],
    number_of_act: int,
) -> tuple[int, int, int]:
    """Change the jobs of a step. Returns how many were changed, skipped, and left out since another has their key."""
    ids = list(intervention.applies(job_filter.jobs().filter(pk__in=batch)).values_list("pk", flat=True))
    behind = set[int]()
    if intervention.takes_keys:
        # They leave their key to a newer one, which this step or a later one changes.
        newer = uniqueness.is_behind(intervention.applies(job_filter.jobs()))
        behind = set(Job.objects.filter(newer, pk__in=ids).values_list("pk", flat=True))
    chosen = [pk for pk in ids if pk not in behind]
    changed, taken = act(request, intervention, chosen, given, number_of_act)
    return changed, len(chosen) - changed - taken, taken + len(behind)
