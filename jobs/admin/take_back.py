"""The page on which an operator takes back an act: a cancel of jobs that nobody held, or a change of priority."""

from collections.abc import Sequence

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
from jobs.bounds import REASON_LENGTH
from jobs.errors import NotTakenBack
from jobs.lifecycle import By
from jobs.models import Job, JobEvent
from jobs.states import JobStatus, Verb
from jobs.transitions import OPERATIONS
from jobsite.lib.admin import count_of
from jobsite.lib.errors import NotFound

PERMISSION = OPERATIONS[Verb.TAKE_BACK].permission


def take_back(page: admin.ModelAdmin, request: HttpRequest, entry_id: int) -> HttpResponse:
    """Ask for a confirmation, and take the act back."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    back = reverse("admin:jobs_job_changelist")
    try:
        entry = lifecycle.reversible(entry_id)
        if request.method == "POST":
            return _carry_out(page, request, entry, back)
    except NotFound as error:
        raise Http404(error.detail) from None
    except NotTakenBack as error:
        page.message_user(request, f"{error.detail} Nothing was changed.", messages.WARNING)
        return redirect(back)
    jobs = lifecycle.jobs_of(entry)
    context = page.admin_site.each_context(request) | {
        "title": f"Take back what was done to {count_of(len(jobs), 'job')}?",
        "opts": page.opts, "entry": entry, "jobs": len(jobs), "back": back, "reason_length": REASON_LENGTH,
    }  # fmt: skip
    return TemplateResponse(request, "admin/jobs/job/take_back.html", context)


def _carry_out(page: admin.ModelAdmin, request: HttpRequest, entry: AuditEntry, back: str) -> HttpResponse:
    reason = request.POST.get("reason", "").replace("\0", "").strip()[:REASON_LENGTH]
    done = lifecycle.take_back(entry.pk, by=By.operator(audit.caller(request)), reason=reason)
    left = len(lifecycle.jobs_of(entry)) - len(done)
    text = f"{count_of(len(done), 'job')} {'is' if len(done) == 1 else 'are'} as before."
    text += f" {left} had a bot, or had something done to {'it' if left == 1 else 'them'} since." if left else ""
    page.message_user(request, text, messages.SUCCESS if done else messages.WARNING)
    return redirect(reverse("admin:jobs_job_change", args=[done[0].id]) if len(done) == 1 else back)


def offered(request: HttpRequest, verb: str) -> SafeString | str:
    """A link with which this person can take back what they did last, after the message about it."""
    if verb not in lifecycle.REVERSIBLE or not request.user.has_perm(PERMISSION):
        return ""
    entry = AuditEntry.objects.filter(by=request.user.get_username(), verb=verb, object_type="job").order_by("-id")
    pk = entry.values_list("pk", flat=True).first()
    return format_html(' <a href="{}">Take it back</a>', reverse("admin:jobs_job_take_back", args=[pk])) if pk else ""


def last_act(request: HttpRequest, job: Job, events: Sequence[JobEvent]) -> int | None:
    """The last act on a job, if it can be taken back and this person may; `events`: its history, the last first."""
    last = events[0] if events else None
    if last is None or last.verb not in lifecycle.REVERSIBLE or last.from_status != JobStatus.PENDING:
        return None
    able = request.user.has_perm(PERMISSION) and job.status in OPERATIONS[Verb.TAKE_BACK].sources
    return last.audit_id if able else None
