"""The page on which operators edit a pending job, or retry one that has ended with changes."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.timezone import get_current_timezone_name, localtime

from bots import audit
from jobs import lifecycle, payloads
from jobs.admin.actions import INTERVENTIONS
from jobs.admin.new_job_form import IndentedJSON, PayloadField
from jobs.bounds import REASON_LENGTH
from jobs.lifecycle import By, Edited
from jobs.models import Job
from jobs.states import JobStatus, Verb
from jobs.transitions import OPERATIONS
from jobsite.lib.clock import check_usable

#: A moment as the browser's field has it.
SECONDS = "%Y-%m-%dT%H:%M:%S"


class EditForm(forms.Form):
    """When a job is due, what it carries, and why that is changed."""

    run_at = forms.DateTimeField(
        label="Due",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}, format=SECONDS),
        validators=[check_usable],
    )
    payload = PayloadField(encoder=IndentedJSON, required=False)
    reason = forms.CharField(max_length=REASON_LENGTH, required=False, help_text="Kept in the job's history.")

    def __init__(self, job: Job, data: Any, *, sees_payload: bool) -> None:
        self.job = job
        first = {"run_at": localtime(job.run_at).replace(microsecond=0), "payload": job.payload}
        super().__init__(data, initial=first)
        self.fields["run_at"].help_text = f"{get_current_timezone_name()}."
        self.fields["run_at"].required = job.status == JobStatus.PENDING
        if not sees_payload:
            del self.fields["payload"]

    def edited(self) -> Edited:
        """What the job gets that it does not have."""
        given = self.cleaned_data
        run_at = given["run_at"] if "run_at" in self.changed_data else None
        return Edited.to(run_at, *([given["payload"]] if "payload" in self.changed_data else []))


def able(user: Any, job: Job) -> bool:
    """Whether this person may edit the job, or retry it with changes, as it is now."""
    retries = job.status in OPERATIONS[Verb.RETRY].sources
    return may_edit(user, job) and (retries or job.status in OPERATIONS[Verb.EDIT].sources)


def may_edit(user: Any, job: Job) -> bool:
    """Whether this person has the permissions for that."""
    needed = [OPERATIONS[Verb.EDIT].permission]
    needed += [OPERATIONS[Verb.RETRY].permission] if job.status in OPERATIONS[Verb.RETRY].sources else []
    return all(user.has_perm(permission) for permission in needed)


def edit(page: admin.ModelAdmin, request: HttpRequest, job_id: int) -> HttpResponse:
    """Show the form, and edit or retry the job."""
    job = Job.objects.filter(pk=job_id).first()
    if job is None:
        raise Http404(f"There is no job {job_id}.")
    if not may_edit(request.user, job):
        raise PermissionDenied
    back = reverse("admin:jobs_job_change", args=[job_id])
    if not able(request.user, job):
        page.message_user(request, f"Job {job_id} is {job.status}: it cannot be edited.", messages.WARNING)
        return redirect(back)
    data = request.POST if request.method == "POST" else None
    form = EditForm(job, data, sees_payload=payloads.may_see(request.user))
    if form.is_valid():
        _carry_out(page, request, job, form)
        return redirect(back)
    retries = job.status != JobStatus.PENDING
    context = page.admin_site.each_context(request) | {
        "title": f"Retry {job} with changes" if retries else f"Edit {job}",
        "opts": page.opts, "form": form, "job": job, "back": back,
        "button": "Retry with these" if retries else "Save",
    }  # fmt: skip
    return TemplateResponse(request, "admin/jobs/job/edit.html", context)


def _carry_out(page: admin.ModelAdmin, request: HttpRequest, job: Job, form: EditForm) -> None:
    given: dict[str, Any] = {"by": By.operator(audit.caller(request)), "reason": form.cleaned_data["reason"]}
    if job.status == JobStatus.PENDING:
        done = lifecycle.edit([job.pk], edited=form.edited(), **given)
        text = "Edited 1 job." if done else "Nothing was changed: the job has this already, or is not pending any more."
    else:
        done = lifecycle.retry_with(job.pk, edited=form.edited(), **given)
        text = INTERVENTIONS["retry"].message(len(done), 1 - len(done))
    page.message_user(request, text, messages.SUCCESS if done else messages.WARNING)
