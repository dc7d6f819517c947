"""The page on which an operator undoes an act: a cancel of jobs that nobody held, or a change of priority."""

from collections.abc import Sequence
from dataclasses import replace

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from bots import audit
from bots.models import AuditEntry
from jobs import lifecycle
from jobs.admin import steps
from jobs.admin.steps import number
from jobs.bounds import REASON_LENGTH
from jobs.errors import NotTakenBack
from jobs.lifecycle import By
from jobs.models import Job, JobEvent
from jobs.states import JobStatus, Verb
from jobs.stats.counts import Count
from jobs.transitions import OPERATIONS
from jobsite.lib.admin import count_of
from jobsite.lib.errors import NotFound

PERMISSION = OPERATIONS[Verb.TAKE_BACK].permission
#: The most entries of an act in one step.
ENTRIES = 4


def take_back(page: admin.ModelAdmin, request: HttpRequest, entry_id: int) -> HttpResponse:
    """Ask for a confirmation, and take the act back."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    back = reverse("admin:jobs_job_changelist")
    try:
        entry = lifecycle.reversible(entry_id)
    except NotFound as error:
        raise Http404(error.detail) from None
    except NotTakenBack as error:
        page.message_user(request, f"{error.detail} Nothing was changed.", messages.WARNING)
        return redirect(back)
    if request.method == "POST":
        return _step(page, request, entry, back)
    jobs = lifecycle.number_of_jobs(entry)
    context = page.admin_site.each_context(request) | {
        "title": f"Take back what was done to {count_of(jobs, 'job')}?",
        "opts": page.opts, "entry": entry, "jobs": jobs, "back": back, "reason_length": REASON_LENGTH,
    }  # fmt: skip
    return TemplateResponse(request, "admin/jobs/job/take_back.html", context)


def _step(page: admin.ModelAdmin, request: HttpRequest, entry: AuditEntry, back: str) -> HttpResponse:
    """Take back some entries of the act, and show the progress, or at the end the outcome."""
    reason = request.POST.get("reason", "").replace("\0", "").strip()[:REASON_LENGTH]
    after, done, left, act = (number(request, name) for name in ("after", "done", "left", "act"))
    act = act or audit.reserve()
    by = By.operator(replace(audit.caller(request), act=act))
    some = [] if steps.is_stopped(request) else list(lifecycle.entries_of(entry).filter(pk__gt=after)[:ENTRIES])
    last_job = None
    for one in some:
        changes = lifecycle.take_back(one.pk, by=by, reason=reason)
        done, left = done + len(changes), left + len(lifecycle.jobs_of(one)) - len(changes)
        after, last_job = one.pk, changes[0].id if changes else last_job
    text = f"{count_of(done, 'job')} {'is' if done == 1 else 'are'} as before."
    text += f" {left} had a bot, or had something done to {'it' if left == 1 else 'them'} since." if left else ""
    if len(some) < ENTRIES:
        text = f"Stopped. {text} The rest is unchanged." if steps.is_stopped(request) else text
        url = reverse("admin:jobs_job_change", args=[last_job]) if done == 1 and last_job else back
        return steps.outcome(page, request, text, url, changed_any=done > 0)
    fields = {"after": after, "done": done, "left": left, "act": act, "reason": reason}
    total = Count(lifecycle.number_of_jobs(entry))
    return steps.progress(page, request, "Take back", text, done + left, total, fields)


def offered(request: HttpRequest, verb: str, act: int = 0) -> SafeString | str:
    """A link with which this person can take back this act, or what they did last, after the message about it."""
    if verb not in lifecycle.REVERSIBLE or not request.user.has_perm(PERMISSION):
        return ""
    entry = AuditEntry.objects.filter(by=request.user.get_username(), verb=verb, object_type="job").order_by("-id")
    entry = entry.filter(act=act) if act else entry
    pk = entry.values_list("pk", flat=True).first()
    return format_html(' <a href="{}">Take it back</a>', reverse("admin:jobs_job_take_back", args=[pk])) if pk else ""


def last_act(request: HttpRequest, job: Job, events: Sequence[JobEvent]) -> int | None:
    """The last act on a job, if it can be undone and this person may; `events`: its history, the last first."""
    last = events[0] if events else None
    if last is None or last.verb not in lifecycle.REVERSIBLE or last.from_status != JobStatus.PENDING:
        return None
    able = request.user.has_perm(PERMISSION) and job.status in OPERATIONS[Verb.TAKE_BACK].sources
    return last.audit_id if able else None
