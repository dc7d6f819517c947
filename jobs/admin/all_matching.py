"""Act on all matching jobs in steps of one request each, which can be watched and stopped and never time out.

The page's form has the progress. With scripts the next step starts by itself; without them "Continue" starts it.
"""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django_htmx.http import HttpResponseClientRedirect

from jobs import uniqueness
from jobs.admin.actions import Intervention, act
from jobs.lists import job_list
from jobs.lists.job_list import JobFilter
from jobs.models import Job, JobQuerySet
from jobs.stats.counts import Count
from jobsite.lib.admin import count_of

#: The most jobs of the list in one step.
STEP = 2000


def _number(request: HttpRequest, name: str) -> int:
    text = request.POST.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0


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
    here, until = _number(request, "here"), _number(request, "until")
    done, left, taken, seen = (_number(request, name) for name in ("done", "left", "taken", "seen"))
    if not until:
        # Leave out jobs that are enqueued after the action began.
        until = Job.objects.order_by("-id").values_list("pk", flat=True).first() or 0
    batch: list[int] = []
    if "stop" not in request.POST:
        batch = job_list.in_statuses(job_filter, intervention.statuses, after=here, until=until, most=STEP)
    if batch:
        here = batch[-1]
        seen += len(batch)
        counts = _change(request, intervention, job_filter, batch, given)
        done, left, taken = done + counts[0], left + counts[1], taken + counts[2]
    if len(batch) < STEP:
        return _show_outcome(page, request, intervention.message(done, left, taken), changed_any=done > 0)
    # The first step sets the total, and no later one: jobs whose status changes drop out of the count. 0: too many.
    total = _number(request, "total")
    if "total" not in request.POST:
        rest = job_list.count_to_process(job_filter, intervention.statuses, after=here, until=until)
        total = 0 if rest.at_least else rest.n + seen
    context = page.admin_site.each_context(request) | {
        "title": f"{intervention.label}: in progress",
        "opts": page.opts,
        "intervention": intervention,
        "message": intervention.message(done, left, taken),
        "seen": count_of(seen, "job"),
        "total": Count(total or job_list.EXACT, at_least=not total),
        "share": min(seen, total) if total else None,
        "walk": {"here": here, "until": until, "done": done, "left": left, "taken": taken, "seen": seen}
        | {"total": total},
        "given": given,
        "action": request.POST.get("action", ""),
    }
    return TemplateResponse(request, "admin/jobs/job/walk.html", context)


def _change(
    request: HttpRequest,
    intervention: Intervention,
    job_filter: JobFilter,
    batch: Sequence[int],
    given: dict[str, Any],
) -> tuple[int, int, int]:
    """Change the jobs of a step. Returns how many were changed, skipped, and left out since another has their key."""
    ids = list(intervention.applies(job_filter.jobs().filter(pk__in=batch)).values_list("pk", flat=True))
    behind = set[int]()
    if intervention.takes_keys:
        # They leave their key to a newer one, which this step or a later one changes.
        newer = uniqueness.is_behind(intervention.applies(job_filter.jobs()))
        behind = set(Job.objects.filter(newer, pk__in=ids).values_list("pk", flat=True))
    chosen = [pk for pk in ids if pk not in behind]
    changed, taken = act(request, intervention, chosen, given)
    return changed, len(chosen) - changed - taken, taken + len(behind)


def _show_outcome(page: admin.ModelAdmin, request: HttpRequest, text: str, *, changed_any: bool) -> HttpResponse:
    if "stop" in request.POST:
        text = f"Stopped. {text} The rest is unchanged."
    page.message_user(request, text, messages.SUCCESS if changed_any else messages.WARNING)
    url = request.get_full_path()
    return HttpResponseClientRedirect(url) if request.htmx else redirect(url)  # type: ignore[attr-defined]
