"""Act on all matching jobs in steps (`jobs.admin.steps`), which are one act of the audit log."""

from collections.abc import Sequence
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


def step(
    page: admin.ModelAdmin,
    request: HttpRequest,
    intervention: Intervention,
    job_filter: JobFilter,
    given: dict[str, Any],
) -> HttpResponse:
    """Do one step, and show the progress, or at the end the outcome."""
    here, until = number(request, "here"), number(request, "until")
    done, left, taken, seen = (number(request, name) for name in ("done", "left", "taken", "seen"))
    entries = number(request, "act") or audit.reserve()
    if not until:
        # Leave out jobs that are enqueued after the action began.
        until = Job.objects.order_by("-id").values_list("pk", flat=True).first() or 0
    batch: list[int] = []
    if not steps.is_stopped(request):
        batch = job_list.in_statuses(job_filter, intervention.statuses, after=here, until=until, most=STEP)
    if batch:
        here = batch[-1]
        seen += len(batch)
        counts = _change(request, intervention, job_filter, batch, given, entries)
        done, left, taken = done + counts[0], left + counts[1], taken + counts[2]
    message = intervention.message(done, left, taken)
    if len(batch) < STEP:
        text = f"Stopped. {message} The rest is unchanged." if steps.is_stopped(request) else message
        if done:
            text = format_html("{}{}", text, take_back.offered(request, intervention.name, entries))
        return steps.outcome(page, request, text, request.get_full_path(), changed_any=done > 0)
    # The first step sets the total, and no later one: jobs whose status changes drop out of the count. 0: too many.
    total = number(request, "total")
    if "total" not in request.POST:
        rest = job_list.count_to_process(job_filter, intervention.statuses, after=here, until=until)
        total = 0 if rest.at_least else rest.n + seen
    asked = {"action": request.POST.get("action", ""), "select_across": 1, "_selected_action": 0, **given}
    walk = {"here": here, "until": until, "done": done, "left": left, "taken": taken, "seen": seen, "total": total}
    all_of_them = Count(total or job_list.EXACT, at_least=not total)
    fields = asked | walk | {"act": entries}
    return steps.progress(page, request, intervention.label, message, seen, all_of_them, fields)


def _change(
    request: HttpRequest,
    intervention: Intervention,
    job_filter: JobFilter,
    batch: Sequence[int],
    given: dict[str, Any],
    entries: int,
) -> tuple[int, int, int]:
    """Change the jobs of a step. Returns how many were changed, skipped, and left out since another has their key."""
    ids = list(intervention.applies(job_filter.jobs().filter(pk__in=batch)).values_list("pk", flat=True))
    behind = set[int]()
    if intervention.takes_keys:
        # They leave their key to a newer one, which this step or a later one changes.
        newer = uniqueness.is_behind(intervention.applies(job_filter.jobs()))
        behind = set(Job.objects.filter(newer, pk__in=ids).values_list("pk", flat=True))
    chosen = [pk for pk in ids if pk not in behind]
    changed, taken = act(request, intervention, chosen, given, entries)
    return changed, len(chosen) - changed - taken, taken + len(behind)
