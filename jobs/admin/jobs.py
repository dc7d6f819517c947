"""Jobs in the admin: what each is doing, what happened to it, and the buttons its state allows."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import ShowFacets
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import mark_safe
from django.utils.timezone import get_current_timezone_name

from jobs.admin import all_matching
from jobs.admin import export as admin_export
from jobs.admin import upload as admin_upload
from jobs.admin.actions import INTERVENTIONS, Intervention, asked, carry_out, confirmation
from jobs.admin.events import CappedPaginator
from jobs.admin.job_list import JobList
from jobs.admin.new_job_form import Indented, NewJobForm
from jobs.enqueue import insert
from jobs.enqueue.new_job import NewJob
from jobs.explain import timeline, why
from jobs.lists import index_merge, job_list
from jobs.lists.job_list import Question
from jobs.models import Job
from jobs.states import HELD
from jobsite.lib.admin import GuardedActions
from jobsite.lib.badges import NONE, age, badge

#: How many events of a job its page shows.
TOLD = 300


@admin.register(Job)
class JobAdmin(GuardedActions):
    """State is never edited here; it changes by verbs, each with a page that asks first."""

    form = NewJobForm
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_per_page = job_list.PAGE
    list_display = ["shown_id", "shown_kind", "shown_status", "holder", "held", "heard", "done", "tries", "priority"]
    list_display_links = ["shown_id"]
    search_fields = ["key"]
    sortable_by = ()
    actions = ["release_jobs", "retry_jobs", "cancel_jobs", "prioritise_jobs", "accept_jobs"]

    @admin.display(description="job")
    def shown_id(self, job: Job) -> str:
        return f"{job.pk}"

    @admin.display(description="kind")
    def shown_kind(self, job: Job) -> str:
        return job.kind_id

    @admin.display(description="status")
    def shown_status(self, job: Job) -> str:
        return badge(job.status)

    @admin.display(description="held by")
    def holder(self, job: Job) -> str:
        if job.claimed_by is None:
            return NONE
        return format_html(
            '<a href="{}">{}</a>', reverse("admin:bots_bot_change", args=[job.claimed_by_id]), job.claimed_by
        )

    @admin.display(description="since")
    def held(self, job: Job) -> str:
        moment = job.claimed_at if job.claimed_by_id else job.finished_at or job.run_at
        return format_html("{} {}", "held" if job.claimed_by_id else "ended" if job.finished_at else "due", age(moment))

    @admin.display(description="last heartbeat")
    def heard(self, job: Job) -> str:
        return age(job.heartbeat_at if job.claimed_by_id else None)

    @admin.display(description="attempt")
    def tries(self, job: Job) -> str:
        released = f", {job.uncounted} not counted" if job.uncounted else ""
        return f"{job.attempt} of {job.max_attempts + job.uncounted}{released}"

    @admin.display(description="progress")
    def done(self, job: Job) -> str:
        if job.progress is None:
            return NONE
        return format_html('<progress max="100" value="{0}" aria-label="Progress"></progress> {0} %', job.progress)

    @admin.display(description="release")
    def release_link(self, job: Job) -> str:
        return self._link("release", job) if job.status in INTERVENTIONS["release"].statuses else NONE

    @admin.display(description="retry")
    def retry_link(self, job: Job) -> str:
        return self._link("retry", job) if job.status in INTERVENTIONS["retry"].statuses else NONE

    def _link(self, name: str, job: Job) -> str:
        mark = mark_safe(" data-release") if name == "release" else ""
        return format_html(
            '<a class="button calm" href="{}"{}>{}<span class="visually-hidden"> job {}</span></a>',
            reverse(f"admin:jobs_job_{name}", args=[job.pk]), mark, INTERVENTIONS[name].label, job.pk,
        )  # fmt: skip

    # --- The admin's questions ---

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[JobList]:
        return JobList

    def get_list_display(self, request: HttpRequest) -> Any:
        """With the one remedy that the rows of this view are waiting for."""
        question = Question.of(request.GET)
        over = question.view == "failed" or question.status in INTERVENTIONS["retry"].statuses
        name = "retry" if over else "release"
        held = question.view in ("all", "stuck", "held") and (not question.status or question.status in HELD)
        offered = INTERVENTIONS[name].allowed(request.user) and (over or held)
        return [*self.list_display, f"{name}_link"] if offered else self.list_display

    def get_fieldsets(self, request: HttpRequest, obj: Job | None = None) -> Any:
        # The page of a job that is there is ours; the admin's fields are only for a new one.
        return [(None, {"fields": NewJobForm.Meta.fields})] if obj is None else []

    def has_change_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        # Finished jobs are pruned by their kind's retention; others are cancelled.
        return False

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """For the admin's own choosers; the list has `jobs.lists.job_list`."""
        named = Question(text=search_term).named
        return (queryset if named is None else queryset.filter(pk__in=named)), False

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """A new job of a kind starts as the last one of it was."""
        kind = request.GET.get("kind", "").replace("\0", "")
        last = Job.objects.filter(pk__in=index_merge.ids(index_merge.of(kind=kind), 1)).first() if kind else None
        return {"kind": kind} | ({"payload": last.payload, "priority": last.priority} if last else {})

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "run_at":
            # One field with one label, with the browser's own calendar.
            widget = forms.DateTimeInput(attrs={"type": "datetime-local"})
            return forms.DateTimeField(
                required=False, widget=widget, help_text=f"{get_current_timezone_name()}. Empty: now."
            )
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "payload" and field is not None:
            field.encoder = Indented  # type: ignore[attr-defined]
            field.help_text = 'JSON, for instance {"customer": 17}.'
        return field

    def save_model(self, request: HttpRequest, obj: Job, form: forms.ModelForm, change: bool) -> None:
        data = form.cleaned_data
        new = NewJob(obj.kind_id, obj.payload, obj.priority, data["run_at"], obj.key, data["max_attempts"])
        ((obj.pk, _),) = insert.enqueue([new])

    # --- Interventions ---

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method == "POST" and request.POST.get("select_across") == "1":
            # All that match are meant, ticked or not; the admin wants one to be ticked.
            form = request.POST.copy()
            form.setdefault(ACTION_CHECKBOX_NAME, "0")
            request.POST = form  # type: ignore[assignment]
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

    @admin.action(description="Release: give the jobs back", permissions=["release"])
    def release_jobs(self, request: HttpRequest, jobs: QuerySet[Job]) -> HttpResponse | None:
        return self._intervene(request, INTERVENTIONS["release"], jobs)

    @admin.action(description="Retry: send failed and cancelled jobs back", permissions=["retry"])
    def retry_jobs(self, request: HttpRequest, jobs: QuerySet[Job]) -> HttpResponse | None:
        return self._intervene(request, INTERVENTIONS["retry"], jobs)

    @admin.action(description="Cancel: end the jobs", permissions=["cancel"])
    def cancel_jobs(self, request: HttpRequest, jobs: QuerySet[Job]) -> HttpResponse | None:
        return self._intervene(request, INTERVENTIONS["cancel"], jobs)

    @admin.action(description="Change priority", permissions=["prioritise"])
    def prioritise_jobs(self, request: HttpRequest, jobs: QuerySet[Job]) -> HttpResponse | None:
        return self._intervene(request, INTERVENTIONS["prioritise"], jobs)

    @admin.action(description="Accept late results", permissions=["accept"])
    def accept_jobs(self, request: HttpRequest, jobs: QuerySet[Job]) -> HttpResponse | None:
        return self._intervene(request, INTERVENTIONS["accept"], jobs)

    def _intervene(self, request: HttpRequest, intervention: Intervention, jobs: QuerySet[Job]) -> HttpResponse | None:
        question = Question.of(request.GET)
        across = request.POST.get("select_across") == "1"
        given, fault = asked(request, intervention)
        if request.POST.get("confirmed") and not fault:
            if across:
                return all_matching.step(self, request, intervention, question, given)
            carry_out(self, request, intervention, list(jobs.order_by().values_list("pk", flat=True)), given)
            return None
        fault = fault if request.POST.get("confirmed") else ""
        matching = job_list.matching(question, intervention.statuses) if across else None
        if across:
            jobs = all_matching.newest(question, intervention.statuses)
        return confirmation(self, request, intervention, jobs, request.get_full_path(), matching=matching, fault=fault)

    # --- Pages of our own ---

    def get_urls(self) -> Any:
        view = self.admin_site.admin_view
        ours = [
            path(f"<int:job_id>/{name}/", view(self.one), {"name": name}, f"jobs_job_{name}") for name in INTERVENTIONS
        ]
        ours += [
            path("upload/", view(self.upload), name="jobs_job_upload"),
            path("export/", view(self.export), name="jobs_job_export"),
        ]
        return [*ours, *super().get_urls()]

    def upload(self, request: HttpRequest) -> HttpResponse:
        """Load a file of jobs, after a look at what is wrong with it."""
        return admin_upload.upload(self, request)

    def export(self, request: HttpRequest) -> Any:
        """What a list shows, as a file."""
        return admin_export.export(self, request)

    def one(self, request: HttpRequest, job_id: int, name: str) -> HttpResponse:
        """The same for a single job, from its own page: GET asks, POST does."""
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
            events = list(job.events.select_related("bot").order_by("-id")[:TOLD])
            one = Job.objects.filter(pk=job.pk)
            extra |= {
                "title": f"{job.kind_id} job {job.pk}",
                "timeline": timeline.timeline(job, reversed(events)),
                "explained": why.explain(job),
                "buttons": [
                    {
                        "intervention": i,
                        "applies": job.status in i.statuses and (i.name != "accept" or i.applies(one).exists()),
                        "url": f"admin:jobs_job_{i.name}",
                    }
                    for i in INTERVENTIONS.values()
                    if i.allowed(request.user)
                ],
            }
        return super().change_view(request, object_id, form_url, extra)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        return super().get_queryset(request).select_related("kind", "claimed_by", "finished_by")
