"""Kinds in the admin: policy, statistics, and pausing."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import ShowFacets
from django.contrib.admin.utils import unquote
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse

from bots import audit
from bots.acts import Act
from bots.audited_admin import AuditedAdmin
from jobs import lifecycle
from jobs.admin.kind_list import KindList
from jobs.explain import limits, policy
from jobs.lifecycle import By
from jobs.limits import Gate
from jobs.lists import queues
from jobs.models import JobKind
from jobs.stats import learned, series
from jobsite.lib import replica
from jobsite.lib.admin import count_of


@admin.register(JobKind)
class JobKindAdmin(AuditedAdmin):
    """Kinds. A kind is created by its first job; its policy is set here."""

    # Only its name: the list has a template of its own.
    list_display = ["name"]
    list_filter = ["paused"]
    search_fields = ["name"]
    show_facets = ShowFacets.NEVER
    show_full_result_count = False
    refreshes, table_template = True, "admin/jobs/jobkind/queues.html"
    actions = ["pause", "resume", "lift_throttles"]
    fieldsets = [
        (None, {"fields": ["name"]}),
        ("Attempts", {"fields": ["max_attempts", "backoff", "backoff_max"]}),
        (
            "Time limits",
            {
                "description": "Past a limit the bot is potentially stuck. Past three times the limit it is unhealthy, "
                "and the policy applies. A job that is claimed but not started expires at its first limit.",
                "fields": ["start_within", "heartbeat_within", "when_silent", "run_within", "when_overdue"],
            },
        ),
        (
            "Limits",
            {
                "description": "Jobs of a kind with limits wait until one may go. Groups of a kind take turns. The "
                "first limit of a kind stops it until its pending jobs are prepared: a second for ten thousand.",
                "fields": ["max_held", "max_held_per_group", "rate", "rate_per_group", "rate_period", "fair"],
            },
        ),
        ("Waiting", {"fields": ["wait_within", "drop_after", "max_pending"]}),
        ("Retention", {"fields": ["keep_for"]}),
    ]

    def save_model(self, request: HttpRequest, obj: JobKind, form: forms.ModelForm, change: bool) -> None:
        # Only changed fields: the sweep may have learned a new limit since the page was rendered.
        obj.save(update_fields=[name for name in form.changed_data if name in form.fields] if change else None)
        lifecycle.limits_changed([obj.pk])

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KindList]:
        return KindList

    def get_form(self, request: HttpRequest, obj: JobKind | None = None, change: bool = False, **kwargs: Any) -> Any:
        # Show what each field means in words beside it.
        kwargs["help_texts"] = (policy.policy(obj) if obj is not None else {}) | kwargs.get("help_texts", {})
        return super().get_form(request, obj, change, **kwargs)

    @replica.for_figures
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, extra_context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        kind = self.get_object(request, unquote(object_id))
        extra = extra_context or {}
        if kind is not None:
            window = request.GET.get("span", "day")
            extra |= {
                "queue": queues.queues([kind], ("waiting", "oldest", "takers"))[0],
                "recent": learned.recent_of(kind.name),
                "run_limit": policy.run_limit(kind),
                "teaching": {
                    "enough": learned.ENOUGH,
                    "times": learned.TIMES,
                    "share": round(learned.SHARE * 100),
                    "least": learned.LEAST,
                },
                "window": window if window in series.WINDOWS else "day",
                "may_pause": self.has_pause_permission(request),
                "limit_lines": limits.lines([kind]),
            }
        return super().change_view(request, object_id, form_url, extra)

    def get_readonly_fields(self, request: HttpRequest, obj: JobKind | None = None) -> list[str]:
        # Jobs refer to the name. Pausing has its own permission and button.
        return [] if obj is None else ["name"]

    def has_delete_permission(self, request: HttpRequest, obj: JobKind | None = None) -> bool:
        return False

    def has_pause_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.pause_jobkind")

    @admin.action(description="Pause: assign no jobs of these kinds", permissions=["pause"])
    def pause(self, request: HttpRequest, kinds: QuerySet[JobKind]) -> None:
        self._set(request, kinds, Act.PAUSE, "Paused")

    @admin.action(description="Resume: assign their jobs again", permissions=["pause"])
    def resume(self, request: HttpRequest, kinds: QuerySet[JobKind]) -> None:
        self._set(request, kinds, Act.RESUME, "Resumed")

    @admin.action(description="Lift throttles of these kinds and their groups", permissions=["pause"])
    def lift_throttles(self, request: HttpRequest, kinds: QuerySet[JobKind]) -> None:
        by = By.operator(audit.caller(request))
        shut = Gate.objects.filter(kind__in=kinds, shut_until__gt=Now()).order_by("kind", "group_name")
        done = sum(lifecycle.lift(kind, group, by=by) for kind, group in shut.values_list("kind", "group_name"))
        self.message_user(request, f"Lifted {count_of(done, 'throttle')}.")

    def _set(self, request: HttpRequest, kinds: QuerySet[JobKind], verb: Act, done: str) -> None:
        paused = verb == Act.PAUSE
        with transaction.atomic():
            changing = list(kinds.filter(paused=not paused).order_by("pk").select_for_update(no_key=True))
            JobKind.objects.filter(pk__in=[kind.pk for kind in changing]).update(paused=paused)
            change = {"paused": not paused}, {"paused": paused}
            self.record(request, verb, [audit.subject(kind, *change) for kind in changing])
        self.message_user(request, f"{done} {count_of(len(changing), 'kind')}.")
