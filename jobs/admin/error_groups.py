"""Error groups in the admin: what fails, how often, since when and under whom; resolve, ignore and retry."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import ShowFacets
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.html import format_html

from bots import audit
from jobs import payloads
from jobs.admin.actions import INTERVENTIONS
from jobs.admin.events import CappedPaginator
from jobs.bounds import REASON_LENGTH
from jobs.error_groups import acts
from jobs.lifecycle import By
from jobs.lists.rows import rows
from jobs.models import ErrorGroup, Job
from jobs.states import ErrorStatus
from jobs.stats import counts
from jobsite.lib import charts, replica
from jobsite.lib.admin import GuardedActions, count_of
from jobsite.lib.badges import age, badge
from jobsite.lib.clock import database_now
from jobsite.lib.params import number_in

#: Failed jobs, bots and versions on a group's page, and how far its failed jobs are counted.
JOBS_SHOWN, NAMES_SHOWN = 20, 12
#: How many a person retries at once without the steps of "all that match".
MOST_RETRIED = 500
#: What is done with a group: the status that it then has, the button, and the past tense.
STATUSES = {
    "resolve": (ErrorStatus.RESOLVED, "Resolve", "Resolved"),
    "ignore": (ErrorStatus.IGNORED, "Ignore", "Ignored"),
    "reopen": (ErrorStatus.OPEN, "Open again", "Opened"),
}


@admin.register(ErrorGroup)
class ErrorGroupAdmin(GuardedActions):
    """Error groups. They are counted, and nothing of them is edited."""

    refreshes = True
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_per_page = 50
    list_display = ["shown_words", "kind", "shown_status", "shown_count", "trend", "last", "first"]
    list_filter = ["status"]
    search_fields = ["words", "=kind"]
    ordering = ["-last_at", "-pk"]
    sortable_by = ("shown_count", "kind", "first", "last")
    actions = ["resolve", "ignore", "reopen"]

    # --- The list ---

    @admin.display(description="error")
    def shown_words(self, group: ErrorGroup) -> str:
        return format_html('<span class="error-line">{}</span>', group.words)

    @admin.display(description="status", ordering="status")
    def shown_status(self, group: ErrorGroup) -> str:
        return badge("back" if group.status == ErrorStatus.OPEN and group.back_at else group.status)

    @admin.display(description="times", ordering="count")
    def shown_count(self, group: ErrorGroup) -> str:
        return f"{group.count:,}".replace(",", "\u202f")

    @admin.display(description="last 24 hours")
    def trend(self, group: ErrorGroup) -> str:
        hours = group.trend(self.now)
        return charts.small_bars(hours, f"{sum(hours)} in the last 24 hours, {hours[-1]} in this one")

    @admin.display(description="last", ordering="last_at")
    def last(self, group: ErrorGroup) -> str:
        return age(group.last_at)

    @admin.display(description="first", ordering="first_at")
    def first(self, group: ErrorGroup) -> str:
        return age(group.first_at)

    @replica.for_figures
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        self.now = database_now()
        return super().changelist_view(request, {"title": "Error groups"} | (extra_context or {}))

    # --- Who may ---

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # The words of errors are what jobs carry.
        return super().has_view_permission(request, obj) and payloads.may_see(request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_resolve_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("jobs.resolve_errorgroup"))

    # --- Acts ---

    @admin.action(description="Resolve: open again if it fails again", permissions=["resolve"])
    def resolve(self, request: HttpRequest, groups: QuerySet[ErrorGroup]) -> None:
        self._set(request, "resolve", groups)

    @admin.action(description="Ignore: count, and open no incident", permissions=["resolve"])
    def ignore(self, request: HttpRequest, groups: QuerySet[ErrorGroup]) -> None:
        self._set(request, "ignore", groups)

    @admin.action(description="Open again", permissions=["resolve"])
    def reopen(self, request: HttpRequest, groups: QuerySet[ErrorGroup]) -> None:
        self._set(request, "reopen", groups)

    def _set(self, request: HttpRequest, name: str, groups: QuerySet[ErrorGroup]) -> None:
        status, _, done = STATUSES[name]
        ids = list(groups.values_list("pk", flat=True))
        changed = acts.set_status(ids, status, by=audit.caller(request), reason=_reason(request))
        text = f"{done} {count_of(len(changed), 'error group')}."
        self.message_user(request, text, messages.SUCCESS if changed else messages.WARNING)

    def get_urls(self) -> Any:
        view = self.admin_site.admin_view
        return [path("<int:group_id>/act/", view(self.act), name="jobs_errorgroup_act"), *super().get_urls()]

    def act(self, request: HttpRequest, group_id: int) -> HttpResponse:
        """Do what a form on a group's page asks for."""
        group = ErrorGroup.objects.filter(pk=group_id).first()
        if group is None:
            raise Http404(f"There is no error group {group_id}.")
        if not self.has_view_permission(request):
            raise PermissionDenied
        name = request.POST.get("do", "")
        if name == "retry":
            self._retry(request, group)
        elif name in STATUSES:
            if not self.has_resolve_permission(request):
                raise PermissionDenied
            self._set(request, name, ErrorGroup.objects.filter(pk=group_id))
        return redirect(reverse("admin:jobs_errorgroup_change", args=[group_id]))

    def _retry(self, request: HttpRequest, group: ErrorGroup) -> None:
        if not INTERVENTIONS["retry"].allowed(request.user):
            raise PermissionDenied
        if not (most := number_in(request.POST.get("most", ""), MOST_RETRIED)):
            self.message_user(
                request, f"Give a number from 1 to {MOST_RETRIED}. Nothing was changed.", messages.WARNING
            )
            return
        done = acts.retry(group, most=most, by=By.operator(audit.caller(request)), reason=_reason(request))
        text = INTERVENTIONS["retry"].message(done.jobs, 0, done.keys_taken)
        self.message_user(request, text, messages.SUCCESS if done.jobs else messages.WARNING)

    # --- A group's page ---

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        group = self.get_object(request, object_id)
        extra = {} if group is None else _context(request, group)
        return super().change_view(request, object_id, form_url, extra | (extra_context or {}))

    def get_fieldsets(self, request: HttpRequest, obj: ErrorGroup | None = None) -> Any:
        return []


def _reason(request: HttpRequest) -> str:
    return request.POST.get("reason", "").replace("\0", "").strip()[:REASON_LENGTH]


def _context(request: HttpRequest, group: ErrorGroup) -> dict[str, Any]:
    failed = acts.failed([group])
    n = failed.order_by("-id")[: counts.COUNTED + 1].values("pk").count()
    last = Job.objects.filter(pk=group.last_job).values_list("error", flat=True).first()
    now = database_now()
    hours = group.trend(now, 48)
    label = f"Failures in the last 48 hours: {sum(hours)}, of which {sum(hours[24:])} in the last 24."
    return {
        "title": f"Error of {group.kind}",
        "group": group,
        "failed": counts.counted(n, 0),
        "jobs": rows(failed.order_by("-id").values_list("pk", flat=True)[:JOBS_SHOWN]),
        "error": last or "",
        "chart": charts.stacked([charts.Line("bad", "failures", hours)], ("48 h ago", "now"), label),
        "bots": list(group.bots.items())[:NAMES_SHOWN],
        "versions": list(group.versions.items())[:NAMES_SHOWN],
        "statuses": [(name, button) for name, (status, button, _) in STATUSES.items() if status != group.status],
        "may_resolve": request.user.has_perm("jobs.resolve_errorgroup"),
        "may_retry": INTERVENTIONS["retry"].allowed(request.user),
        "most_retried": min(n, MOST_RETRIED),
        "reason_length": REASON_LENGTH,
    }
