"""Save a search of the list of jobs under a name, for everybody, and forget it."""

from dataclasses import replace

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from bots import audit
from bots.acts import Act
from bots.models import NAME_LENGTH
from jobs.admin.job_list import query_string
from jobs.lists.job_list import JobFilter
from jobs.models import SavedSearch
from jobsite.lib.names import fault
from jobsite.lib.params import number_in

PERMISSION = "jobs.add_savedsearch"
#: How many there may be: all are in one menu.
MOST = 100


def saved(page: admin.ModelAdmin, request: HttpRequest) -> HttpResponse:
    """Save the search in the address under `name`, or forget the one in `forget`; and show the list again."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    address = query_string(replace(JobFilter.from_params(request.GET), before=None, after=None, skip=0))
    if request.method == "POST":
        forget = request.POST.get("forget", "")
        text, done = _forget(request, forget) if forget else _save(request, address)
        page.message_user(request, text, messages.SUCCESS if done else messages.WARNING)
    return redirect(reverse("admin:jobs_job_changelist") + address)


@transaction.atomic
def _save(request: HttpRequest, address: str) -> tuple[str, bool]:
    name = request.POST.get("name", "").replace("\0", "").strip()[:NAME_LENGTH]
    if not name or (why := fault(name)):
        return (f"Name: {why}" if name else "Give the search a name.") + " Nothing was saved.", False
    if SavedSearch.objects.exclude(name=name).count() >= MOST:
        return f"There are {MOST} saved searches. Forget one first.", False
    one, created = SavedSearch.objects.update_or_create(
        name=name, defaults={"address": address, "by": request.user.get_username()}
    )
    act = Act.CREATE if created else Act.CHANGE
    audit.record(act, [audit.subject(one, after={"address": address})], by=audit.caller(request))
    return f"Saved the search {name}.", True


@transaction.atomic
def _forget(request: HttpRequest, number: str) -> tuple[str, bool]:
    one = SavedSearch.objects.filter(pk=number_in(number) or 0).first()
    if one is None:
        return "There is no such saved search.", False
    audit.record(Act.DELETE, [audit.subject(one, before={"address": one.address})], by=audit.caller(request))
    one.delete()
    return f"Forgot the search {one.name}.", True
