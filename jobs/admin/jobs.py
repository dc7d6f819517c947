"""Jobs in the admin: list, page with history and actions, new job, upload and export."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import ShowFacets
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet, Value
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.timezone import get_current_timezone_name

from bots import audit
from bots.acts import Act
from bots.audited_admin import AuditedAdmin
from bots.models import AuditEntry
from jobs import fingerprints, payloads
from jobs.admin import all_matching, edit_job, job_contents, saved_searches, steps, stuck, take_back
from jobs.admin import export as admin_export
from jobs.admin import upload as admin_upload
from jobs.admin.actions import INTERVENTIONS, Intervention, asked, carry_out, confirmation
from jobs.admin.all_matching import Walk
from jobs.admin.events import CappedPaginator
from jobs.admin.job_columns import COLUMNS, JobColumns
from jobs.admin.job_list import JobList, asked_filter, chosen_columns
from jobs.admin.new_job_form import AddsJobs, IndentedJSON, NewJobForm, first_values
from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.explain import attempts, timeline, why
from jobs.lists import job_list
from jobs.lists.audit import about_job
from jobs.lists.job_list import JobFilter
from jobs.models import ErrorGroup, Job, JobEvent
from jobs.states import HELD, Added
from jobsite.lib import replica, unfinished

#: The most events on a job's page.
EVENTS_SHOWN = 300


@admin.register(Job)
class JobAdmin(JobColumns, AddsJobs, AuditedAdmin):
    """Jobs. Their state changes only by verbs, each with a confirmation page."""

    adds_by_verb = True
    refreshes = True

    form = NewJobForm
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_per_page = job_list.PAGE
    list_display = ["shown_id"]
    list_display_links = ["shown_id"]
    search_fields = ["key"]
    sortable_by = ()
    actions = ["release_jobs", "retry_jobs", "cancel_jobs", "prioritise_jobs", "accept_jobs"]

    # --- Hooks of the admin -----

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[JobList]:
        return JobList

    def get_list_display(self, request: HttpRequest) -> Any:
        """The chosen columns, with a link for the action that suits this view: Release or Retry."""
        job_filter = asked_filter(request)
        columns = [COLUMNS[name][0] for name in chosen_columns(request, job_filter.view)]
        retryable = job_filter.view == "failed" or job_filter.status in INTERVENTIONS["retry"].statuses
        name = "retry" if retryable else "release"
        held = job_filter.view in ("all", "stuck", "held") and (not job_filter.status or job_filter.status in HELD)
        offered = INTERVENTIONS[name].allowed(request.user) and (retryable or held)
        return [*self.list_display, *columns, *([f"{name}_link"] if offered else [])]

    def get_fieldsets(self, request: HttpRequest, obj: Job | None = None) -> Any:
        # The admin's form is only for a new job. An existing one has a page of its own.
        return [(None, {"fields": NewJobForm.Meta.fields})] if obj is None else []

    def has_change_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        # Finished jobs are deleted after their kind's retention; others can be cancelled.
        return False

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """For the admin's autocomplete. The list uses `jobs.lists.job_list`."""
        named = JobFilter(text=search_term).named
        return (queryset if named is None else queryset.filter(pk__in=named)), False

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Prefill a new job from the one that it is to be a copy of, or from the last one of its kind."""
        return first_values(request)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "run_at":
            # One field with the browser's date picker.
            widget = forms.DateTimeInput(attrs={"type": "datetime-local"})
            return forms.DateTimeField(
                required=False, widget=widget, help_text=f"{get_current_timezone_name()}. Empty: now."
            )
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "payload" and field is not None:
            field.encoder = IndentedJSON  # type: ignore[attr-defined]
            field.help_text = 'JSON, such as {"customer": 17}.'
        return field

    def save_model(self, request: HttpRequest, obj: Job, form: forms.ModelForm, change: bool) -> None:
        data = form.cleaned_data
        new = NewJob(
            obj.kind_id, obj.payload, obj.priority, data["run_at"], obj.key, data["max_attempts"],
            unique=obj.unique_mode, group=obj.group_name,
        )  # fmt: skip
        with transaction.atomic():
            ((obj.pk, added),) = insert.enqueue([new])
            if added == Added.CREATED:
                given = {"kind": obj.kind_id, "priority": obj.priority, "group": obj.group_name, "key": obj.key}
                self.record(request, Act.ENQUEUE, [audit.Subject("job", obj.pk, str(obj), after=given)])

    def entries_about(self, obj: Job) -> QuerySet[AuditEntry]:  # type: ignore[override]
        return AuditEntry.objects.filter(about_job(str(obj.pk)))

    # --- Interventions ---

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if unfinished.form(request):
            # It was sent when the session had ended. Without its confirmation it asks for that again.
            request.method, request.POST = "POST", unfinished.form(request)  # type: ignore[assignment]
        if request.method == "POST" and request.POST.get("select_across") == "1":
            # All matching jobs are meant, but the admin requires a selected one.
            form = request.POST.copy()
            form.setdefault(ACTION_CHECKBOX_NAME, "0")
            request.POST = form  # type: ignore[assignment]
        return self._list(request, extra_context)

    @replica.for_figures
    def _list(self, request: HttpRequest, extra_context: dict[str, Any] | None) -> HttpResponse:
        return super().changelist_view(request, extra_context)

    def has_release_permission(self, request: HttpRequest) -> bool:
        return INTERVENTIONS["release"].allowed(request.user)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return INTERVENTIONS["retry"].allowed(request.user)

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return INTERVENTIONS["cancel"].allowed(request.user)

    def has_prioritise_permission(self, request: HttpRequest) -> bool:
        return INTERVENTIONS["prioritise"].allowed(request.user)

    def has_accept_permission(self, request: HttpRequest) -> bool:
        return INTERVENTIONS["accept"].allowed(request.user)

    @admin.action(description="Release: return the jobs to pending", permissions=["release"])
    def release_jobs(self, request: HttpRequest, jobs: QuerySet[Job]) -> HttpResponse | None:
        return self._intervene(request, INTERVENTIONS["release"], jobs)

    @admin.action(description="Retry: return failed and cancelled jobs to pending", permissions=["retry"])
    def retry_jobs(self, request: HttpRequest, jobs: QuerySet[Job]) -> HttpResponse | None:
        return self._intervene(request, INTERVENTIONS["retry"], jobs)

    @admin.action(description="Cancel the jobs", permissions=["cancel"])
    def cancel_jobs(self, request: HttpRequest, jobs: QuerySet[Job]) -> HttpResponse | None:
        return self._intervene(request, INTERVENTIONS["cancel"], jobs)

    @admin.action(description="Change priority", permissions=["prioritise"])
    def prioritise_jobs(self, request: HttpRequest, jobs: QuerySet[Job]) -> HttpResponse | None:
        return self._intervene(request, INTERVENTIONS["prioritise"], jobs)

    @admin.action(description="Accept late results", permissions=["accept"])
    def accept_jobs(self, request: HttpRequest, jobs: QuerySet[Job]) -> HttpResponse | None:
        return self._intervene(request, INTERVENTIONS["accept"], jobs)

    def _intervene(self, request: HttpRequest, intervention: Intervention, jobs: QuerySet[Job]) -> HttpResponse | None:
        job_filter = asked_filter(request)
        across = request.POST.get("select_across") == "1"
        given, fault = asked(request, intervention)
        if request.POST.get("confirmed") and not fault:
            if across:
                return all_matching.step(self, request, intervention, job_filter, given)
            carry_out(self, request, intervention, list(jobs.order_by().values_list("pk", flat=True)), given)
            return None
        fault = fault if request.POST.get("confirmed") else ""
        matching = job_list.matching(job_filter, intervention.statuses) if across else None
        if across and steps.number(request, "seen"):
            return Walk.from_form(request).show(self, request, intervention, given, waits=True)
        if across:
            jobs = all_matching.newest(job_filter, intervention.statuses)
        return confirmation(self, request, intervention, jobs, request.get_full_path(), matching=matching, fault=fault)

    # --- Own pages --------

    def get_urls(self) -> Any:
        view = self.admin_site.admin_view
        own_pages = [
            path(f"<int:job_id>/{name}/", view(self.one), {"name": name}, f"jobs_job_{name}") for name in INTERVENTIONS
        ]
        own_pages += [
            path(f"<int:job_id>/{name}/", view(job_contents.content), {"name": name}, f"jobs_job_{name}")
            for name in payloads.FIELDS
        ]
        own_pages += [
            path("stuck/release/", view(self.release_stuck), name="jobs_job_release_stuck"),
            path("<int:job_id>/edit/", view(self.edit), name="jobs_job_edit"),
            path("take-back/<int:entry_id>/", view(self.take_back), name="jobs_job_take_back"),
            path("saved/", view(self.saved), name="jobs_job_saved"),
            path("upload/", view(self.upload), name="jobs_job_upload"),
            path("export/", view(self.export), name="jobs_job_export"),
        ]
        return [*own_pages, *super().get_urls()]

    def release_stuck(self, request: HttpRequest) -> HttpResponse:
        """Release all jobs of a kind that are stuck in the same way."""
        return stuck.release(self, request)

    def edit(self, request: HttpRequest, job_id: int) -> HttpResponse:
        """Edit a pending job, or retry one with changes."""
        return edit_job.edit(self, request, job_id)

    def take_back(self, request: HttpRequest, entry_id: int) -> HttpResponse:
        """Take back an act on jobs."""
        return take_back.take_back(self, request, entry_id)

    def saved(self, request: HttpRequest) -> HttpResponse:
        """Save a search, or forget one."""
        return saved_searches.saved(self, request)

    def upload(self, request: HttpRequest) -> HttpResponse:
        """Check and load a file of jobs."""
        return admin_upload.upload(self, request)

    def export(self, request: HttpRequest) -> Any:
        """Export the list as CSV or NDJSON."""
        return admin_export.export(self, request)

    def one(self, request: HttpRequest, job_id: int, name: str) -> HttpResponse:
        """Run a verb on a single job: GET asks for confirmation, POST runs it."""
        intervention = INTERVENTIONS[name]
        if not intervention.allowed(request.user):
            raise PermissionDenied
        job = Job.objects.filter(pk=job_id).first()
        if job is None:
            raise Http404(f"There is no job {job_id}.")
        back = reverse("admin:jobs_job_change", args=[job_id])
        given, fault = asked(request, intervention)
        if request.method == "POST" and not fault:
            carry_out(self, request, intervention, [job_id], given)
            return redirect(back)
        fault = fault if request.method == "POST" else ""
        return confirmation(self, request, intervention, Job.objects.filter(pk=job_id), back, fault=fault)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        job = self.get_object(request, object_id)
        extra = extra_context or {}
        if job is not None:
            events = payloads.events_for(request.user, job.events.select_related("bot").order_by("-id")[:EVENTS_SHOWN])
            extra |= {
                "title": f"{job.kind_id} job {job.pk}",
                "timeline": timeline.timeline(job, reversed(events)),
                "attempts": attempts.attempts(job, events),
                "error_line": fingerprints.last_line(job.error),
                "error_group": _error_group(request, job),
                "explained": why.explain(job, request.user),
                "own_times": job.own_times,
                "may_see_payload": payloads.may_see(request.user),
                **_acts(request, job, events),
            }
        return super().change_view(request, object_id, form_url, extra)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        return super().get_queryset(request).select_related("kind", "claimed_by", "finished_by")


def _acts(request: HttpRequest, job: Job, events: list[JobEvent]) -> dict[str, Any]:
    """What this person may do with a job: what its state allows, and what it does not."""
    one = Job.objects.filter(pk=job.pk)
    mine = [intervention for intervention in INTERVENTIONS.values() if intervention.allowed(request.user)]
    able = [i for i in mine if job.status in i.statuses and (i.name != "accept" or i.applies(one).exists())]
    return {
        "buttons": [{"intervention": i, "url": f"admin:jobs_job_{i.name}"} for i in able],
        "not_possible": [i for i in mine if i not in able],
        "may_edit": edit_job.able(request.user, job),
        "may_copy": request.user.has_perm("jobs.add_job") and payloads.may_see(request.user),
        "last_act": take_back.last_act(request, job, events),
    }


def _error_group(request: HttpRequest, job: Job) -> int | None:
    """The error group that its error belongs to, if this person may see it."""
    if not job.error or not request.user.has_perm("jobs.view_errorgroup"):
        return None
    alike = fingerprints.fingerprint(Value(job.error))
    return ErrorGroup.objects.filter(kind=job.kind_id, fingerprint=alike).values_list("pk", flat=True).first()
