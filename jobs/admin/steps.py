"""Acts on many jobs in steps of one request each, which can be watched and stopped and never time out.

The page's form has the progress. With scripts the next step starts by itself; without them "Continue" starts it.
"""

from collections.abc import Mapping
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django_htmx.http import HttpResponseClientRedirect

from jobs.stats.counts import Count
from jobsite.lib.admin import count_of
from jobsite.lib.params import number_in


def number(request: HttpRequest, name: str) -> int:
    """A number of the progress, from the form. 0: it has none."""
    return number_in(request.POST.get(name, "")) or 0


def progress(
    page: admin.ModelAdmin, request: HttpRequest, label: str, message: str, seen: int, total: Count,
    fields: Mapping[str, Any], *, waits: bool = False,
) -> HttpResponse:  # fmt: skip
    """Show how far the act has come, after `seen` jobs of the total.

    `fields`: what the next step is to be sent. `waits`: it does not start by itself.
    """
    context = page.admin_site.each_context(request) | {
        "title": f"{label}: in progress",
        "opts": page.opts,
        "label": label,
        "message": message,
        "seen": count_of(seen, "job"),
        "total": total,
        "waits": waits,
        "share": None if total.at_least else min(seen, total.n),
        "fields": {"confirmed": "yes", **fields},
    }
    return TemplateResponse(request, "admin/jobs/job/walk.html", context)


def outcome(page: admin.ModelAdmin, request: HttpRequest, text: str, url: str, *, changed_any: bool) -> HttpResponse:
    """End the act with a message on the page at `url`."""
    page.message_user(request, text, messages.SUCCESS if changed_any else messages.WARNING)
    return HttpResponseClientRedirect(url) if request.htmx else redirect(url)  # type: ignore[attr-defined]


def is_stopped(request: HttpRequest) -> bool:
    """Whether "Stop" was pressed."""
    return "stop" in request.POST
