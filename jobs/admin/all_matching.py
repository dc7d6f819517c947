"""All that match a question, step by step: each step is a request, so it can be watched, stopped, and never times out.

Where the walk is stands in the page's form. With scripts the next step follows by itself; without them "Go on" does it.
"""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django_htmx.http import HttpResponseClientRedirect

from jobs.admin.actions import Intervention, act
from jobs.lists import job_list
from jobs.lists.job_list import Question
from jobs.models import Job, JobQuerySet
from jobs.stats.counts import Count
from jobsite.lib.admin import count_of

#: How many jobs of the list one step looks at.
STEP = 2000


def _whole(request: HttpRequest, name: str) -> int:
    text = request.POST.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0


def newest(question: Question, statuses: Sequence[str]) -> JobQuerySet:
    """The newest of those that will be changed, looked for among as many as one step looks at."""
    return question.jobs().filter(pk__in=job_list.in_statuses(question, statuses, most=STEP))


def step(
    page: admin.ModelAdmin,
    request: HttpRequest,
    intervention: Intervention,
    question: Question,
    given: dict[str, Any],
) -> HttpResponse:
    """One step of a walk, and the page that shows how far it is; at the end, or when stopped, what happened."""
    here, until = _whole(request, "here"), _whole(request, "until")
    done, left, seen = _whole(request, "done"), _whole(request, "left"), _whole(request, "seen")
    if not until:
        # Jobs that come in while we walk were not meant.
        until = Job.objects.order_by("-id").values_list("pk", flat=True).first() or 0
    ahead: list[int] = []
    if "stop" not in request.POST:
        ahead = job_list.in_statuses(question, intervention.statuses, after=here, until=until, most=STEP)
    if ahead:
        here = ahead[-1]
        seen += len(ahead)
        ids = list(
            intervention.applies(question.jobs().filter(pk__in=ahead)).order_by("id").values_list("pk", flat=True)
        )
        changed = act(request, intervention, ids, given)
        done, left = done + changed, left + len(ids) - changed
    if len(ahead) < STEP:
        said = intervention.message(done, left)
        if "stop" in request.POST:
            said = f"Stopped. {said} The rest is as it was."
        page.message_user(request, said, messages.SUCCESS if done else messages.WARNING)
        url = request.get_full_path()
        return HttpResponseClientRedirect(url) if request.htmx else redirect(url)  # type: ignore[attr-defined]
    # What is walked through gets fewer when it changes its status, so the first step says how much there was.
    total = _whole(request, "total") or job_list.to_walk(question, intervention.statuses).n + done
    context = page.admin_site.each_context(request) | {
        "title": f"{intervention.label}: going on",
        "opts": page.opts,
        "intervention": intervention,
        "said": intervention.message(done, left),
        "seen": count_of(seen, "job"),
        "total": Count(total, about=total > job_list.SAMPLE),
        "share": min(seen, total),
        "walk": {"here": here, "until": until, "done": done, "left": left, "seen": seen, "total": total},
        "given": given,
        "action": request.POST.get("action", ""),
    }
    return TemplateResponse(request, "admin/jobs/job/walk.html", context)
