"""Release all jobs of a kind that are stuck in the same way: what *Release these* of Home asks for."""

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from jobs.admin.actions import INTERVENTIONS, asked, carry_out, confirmation
from jobs.lists import stuck
from jobs.models import Job
from jobsite.lib.params import number_in


def release(page: admin.ModelAdmin, request: HttpRequest) -> HttpResponse:
    """Ask, naming the jobs that are stuck now; then release those that were named, and no others."""
    intervention, home = INTERVENTIONS["release"], reverse("admin:index")
    if not intervention.allowed(request.user):
        raise PermissionDenied
    if request.method == "POST":
        given, _ = asked(request, intervention)
        carry_out(page, request, intervention, _chosen(request), given)
        return redirect(home)
    kind = request.GET.get("kind", "").replace("\0", "")
    found = stuck.stuck(kind, request.GET.get("signal", ""))
    ids = [check.lease.job_id for group in found.groups for check in group.offered][: stuck.RELEASED]
    if not ids:
        page.message_user(request, f"No {kind} job is stuck any more.", messages.WARNING)
        return redirect(home)
    return confirmation(page, request, intervention, Job.objects.filter(pk__in=ids), home, selected=ids)


def _chosen(request: HttpRequest) -> list[int]:
    texts = request.POST.getlist(ACTION_CHECKBOX_NAME)[: stuck.RELEASED]
    return [number for text in texts if (number := number_in(text))]
