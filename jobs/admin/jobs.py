"""Jobs in the admin: what each is doing, what happened to it, and the buttons its state allows."""

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.functional import cached_property
from django.utils.html import format_html

from bots.admin import GuardedActions
from bots.shown import age, badge
from jobs import lifecycle
from jobs.admin.interventions import INTERVENTIONS, Intervention, carry_out, confirmation
from jobs.lifecycle import NewJob
from jobs.models import Job
from jobs.states import JobStatus


class CappedPaginator(Paginator):
    """Counts no further than this: a list of ten million jobs must not cost a scan of them."""

    MOST = 10_000

    @cached_property
    def count(self) -> int:
        return int(self.object_list[: self.MOST].count())  # type: ignore[attr-defined]


class StuckFilter(admin.SimpleListFilter):
    """Saved views that are more than one status."""

    title = "view"
    parameter_name = "view"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("stuck", "Stuck"), ("held", "Held"), ("scheduled", "Scheduled"), ("finished", "Finished")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "stuck":
                return queryset.stuck()
            case "held":
                return queryset.held()
            case "scheduled":
                return queryset.pending().exclude(pk__in=Job.objects.claimable().order_by().values("pk"))
            case "finished":
                return queryset.finished()
        return queryset


class NewJobForm(forms.ModelForm):
    """A job by hand. What is left empty comes from the kind, as it does for producers."""

    class Meta:
        model = Job
        fields = ["kind", "payload", "priority", "run_at", "key", "max_attempts"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("run_at", "max_attempts", "key"):
            if name in self.fields:
                self.fields[name].required = False
                self.fields[name].initial = None

    def clean_max_attempts(self) -> int:
        """The kind's figure when none is given."""
        given, kind = self.cleaned_data.get("max_attempts"), self.cleaned_data.get("kind")
        return given or (kind.max_attempts if kind else 1)

    def clean_key(self) -> str | None:
        """An empty key is none."""
        return self.cleaned_data.get("key") or None


@admin.register(Job)
class JobAdmin(GuardedActions):
    """State is never edited here; it changes by verbs, each with a page that asks first."""

    form = NewJobForm
    paginator = CappedPaginator
    show_full_result_count = False
    list_per_page = 50
    list_display = ["shown_id", "shown_kind", "shown_status", "holder", "held", "heard", "tries", "priority", "done"]
    list_display_links = ["shown_id"]
    list_select_related = ["claimed_by"]
    list_filter = [StuckFilter, "status", "kind"]
    search_fields = ["key"]
    search_help_text = "A job's number, its key, or the name of the bot that holds it."
    ordering = ["-id"]
    actions = ["release_jobs", "retry_jobs", "cancel_jobs", "accept_jobs"]
    fieldsets = [
        (None, {"fields": ["kind", "shown_status", "holder", "tries", "priority", "key", "run_at"]}),
        ("Lease", {"fields": ["claimed_at", "started_at", "heartbeat_at", "deadline_at", "done", "progress_note"]}),
        (
            "Work",
            {"fields": ["shown_payload", "shown_result", "shown_error", "finished_at", "finished_by", "created_at"]},
        ),
    ]

    @admin.display(description="job", ordering="id")
    def shown_id(self, job: Job) -> str:
        return f"{job.pk}"

    @admin.display(description="kind", ordering="kind")
    def shown_kind(self, job: Job) -> str:
        return job.kind_id

    @admin.display(description="status", ordering="status")
    def shown_status(self, job: Job) -> str:
        return badge(job.status)

    @admin.display(description="held by")
    def holder(self, job: Job) -> str:
        if job.claimed_by is None:
            return "–"
        return format_html(
            '<a href="{}">{}</a>', reverse("admin:bots_bot_change", args=[job.claimed_by_id]), job.claimed_by
        )

    @admin.display(description="held for")
    def held(self, job: Job) -> str:
        return age(job.claimed_at if job.claimed_by_id else None)

    @admin.display(description="last heartbeat")
    def heard(self, job: Job) -> str:
        return age(job.heartbeat_at if job.claimed_by_id else None)

    @admin.display(description="attempt")
    def tries(self, job: Job) -> str:
        released = f", {job.uncounted} not counted" if job.uncounted else ""
        return f"{job.attempt} of {job.max_attempts + job.uncounted}{released}"

    @admin.display(description="progress")
    def done(self, job: Job) -> str:
        return "–" if job.progress is None else f"{job.progress} %"

    @admin.display(description="payload")
    def shown_payload(self, job: Job) -> str:
        return format_html("<pre>{}</pre>", json.dumps(job.payload, indent=2, ensure_ascii=False))

    @admin.display(description="result")
    def shown_result(self, job: Job) -> str:
        if job.status != JobStatus.SUCCEEDED:
            return "–"
        return format_html("<pre>{}</pre>", json.dumps(job.result, indent=2, ensure_ascii=False))

    @admin.display(description="error")
    def shown_error(self, job: Job) -> str:
        return format_html("<pre>{}</pre>", job.error) if job.error else "–"

    def get_fieldsets(self, request: HttpRequest, obj: Job | None = None) -> Any:
        return [(None, {"fields": NewJobForm.Meta.fields})] if obj is None else super().get_fieldsets(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Job | None = None) -> Any:
        return [] if obj is None else [name for _, options in self.fieldsets for name in options["fields"]]

    def has_change_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        # Finished jobs are pruned by their kind's retention; others are cancelled.
        return False

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """By number, key or holder, each by its index; a search through all payloads would read the table."""
        term = search_term.strip().replace("\0", "")
        if not term:
            return queryset, False
        found = Q(key=term) | Q(claimed_by__name=term)
        if term.isascii() and term.isdigit() and len(term) <= 18:
            found |= Q(pk=int(term))
        return queryset.filter(found), False

    def save_model(self, request: HttpRequest, obj: Job, form: forms.ModelForm, change: bool) -> None:
        data = form.cleaned_data
        new = NewJob(obj.kind_id, obj.payload, obj.priority, data["run_at"], obj.key, data["max_attempts"])
        ((obj.pk, _),) = lifecycle.enqueue([new])

    # --- Interventions ---

    def has_release_permission(self, request: HttpRequest) -> bool:
        return INTERVENTIONS["release"].allowed(request.user)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return INTERVENTIONS["retry"].allowed(request.user)

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return INTERVENTIONS["cancel"].allowed(request.user)

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

    @admin.action(description="Accept late results", permissions=["accept"])
    def accept_jobs(self, request: HttpRequest, jobs: QuerySet[Job]) -> HttpResponse | None:
        return self._intervene(request, INTERVENTIONS["accept"], jobs)

    def _intervene(self, request: HttpRequest, intervention: Intervention, jobs: QuerySet[Job]) -> HttpResponse | None:
        if request.POST.get("confirmed"):
            ids = list(jobs.order_by().values_list("pk", flat=True))
            carry_out(self, request, intervention, ids)
            return None
        return confirmation(self, request, intervention, jobs, reverse("admin:jobs_job_changelist"))

    def get_urls(self) -> Any:
        ours = [
            path(f"<int:job_id>/{name}/", self.admin_site.admin_view(self.one), {"name": name}, f"jobs_job_{name}")
            for name in INTERVENTIONS
        ]
        return [*ours, *super().get_urls()]

    def one(self, request: HttpRequest, job_id: int, name: str) -> HttpResponse:
        """The same for a single job, from its own page: GET asks, POST does."""
        intervention = INTERVENTIONS[name]
        if not intervention.allowed(request.user):
            raise PermissionDenied
        job = Job.objects.filter(pk=job_id).first()
        if job is None:
            raise Http404(f"There is no job {job_id}.")
        back = reverse("admin:jobs_job_change", args=[job_id])
        if request.method == "POST":
            carry_out(self, request, intervention, [job_id])
            return redirect(back)
        return confirmation(self, request, intervention, Job.objects.filter(pk=job_id), back)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        job = self.get_object(request, object_id)
        extra = extra_context or {}
        if job is not None:
            one = Job.objects.filter(pk=job.pk)
            extra |= {
                "title": f"{job.kind_id} job {job.pk}",
                "timeline": job.events.select_related("bot").order_by("id")[:500],
                "buttons": [
                    {"intervention": i, "applies": i.applies(one).exists(), "url": f"admin:jobs_job_{i.name}"}
                    for i in INTERVENTIONS.values()
                    if i.allowed(request.user)
                ],
            }
        return super().change_view(request, object_id, form_url, extra)
