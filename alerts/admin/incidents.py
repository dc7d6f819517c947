"""Incidents in the admin: list, page, and acknowledging. Read only otherwise."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.helpers import ActionForm
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html

from alerts.delivery.links import bot_lines
from alerts.incidents import acknowledge as incidents_acknowledge
from alerts.models import Incident, IncidentBot
from alerts.states import Cause, IncidentStatus
from bots import audit
from bots.audited_admin import AuditedAdmin
from jobs.lists import home
from jobsite.lib.admin import count_of
from jobsite.lib.badges import NONE, age, badge

#: The most bots and notes shown on an incident's page.
BOTS_SHOWN, NOTES_SHOWN = 100, 200


class StatusFilter(admin.SimpleListFilter):
    """Filter by status, which is not a column."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return IncidentStatus.choices

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        return queryset.of_status(IncidentStatus(value)) if value in IncidentStatus.values else queryset


class AcknowledgeForm(ActionForm):
    """The field beside the action."""

    remark = forms.CharField(required=False, max_length=incidents_acknowledge.REMARK_LENGTH, label="Remark")


@admin.register(Incident)
class IncidentAdmin(AuditedAdmin):
    """Incidents. The sweep opens, changes and resolves them; users acknowledge them."""

    list_display = [
        "shown_severity",
        "title",
        "shown_status",
        "shown_kind",
        "opened",
        "bot_count",
        "shown_acknowledged_by",
    ]
    list_display_links = ["title"]
    list_filter = [StatusFilter, "severity", "cause"]
    search_fields = ["title", "about", "bots__name"]
    show_facets = ShowFacets.NEVER
    show_full_result_count = False
    refreshes = True
    list_per_page = 50
    actions = ["acknowledge"]
    action_form = AcknowledgeForm

    def get_queryset(self, request: HttpRequest) -> QuerySet[Incident]:
        members = IncidentBot.objects.filter(incident=OuterRef("pk"), until=None).order_by().values("incident")
        return Incident.objects.by_urgency().annotate(members=Subquery(members.annotate(n=Count("pk")).values("n")))

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return "rank", "-opened_at", "-pk"

    @admin.display(description="severity", ordering="severity")
    def shown_severity(self, incident: Incident) -> str:
        return badge(incident.severity)

    @admin.display(description="status", ordering="rank")
    def shown_status(self, incident: Incident) -> str:
        return badge(incident.status)

    @admin.display(description="kind", ordering="kind")
    def shown_kind(self, incident: Incident) -> str:
        return incident.kind or (count_of(len(incident.kinds), "kind") if incident.kinds else NONE)

    @admin.display(description="opened", ordering="opened_at")
    def opened(self, incident: Incident) -> str:
        return format_html("{} ago", age(incident.opened_at))

    @admin.display(description="bots")
    def bot_count(self, incident: Incident) -> str:
        return str(getattr(incident, "members", None) or NONE)

    @admin.display(description="acknowledged by", ordering="acknowledged_by")
    def shown_acknowledged_by(self, incident: Incident) -> str:
        return incident.acknowledged_by or NONE

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Incident | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Incident | None = None) -> bool:
        # The sweep deletes old incidents; nobody else does.
        return False

    def has_acknowledge_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("alerts.acknowledge_incident")

    @admin.action(description="Acknowledge", permissions=["acknowledge"])
    def acknowledge(self, request: HttpRequest, rows: QuerySet[Incident]) -> None:
        ids = list(rows.order_by().values_list("pk", flat=True).distinct())
        remark = request.POST.get("remark", "").replace("\0", "")
        taken = incidents_acknowledge.acknowledge(ids, by=audit.caller(request), remark=remark)
        skipped = len(ids) - len(taken)
        text = f"Acknowledged {count_of(len(taken), 'incident')}."
        if skipped:
            text += f" Skipped {skipped} that {'was' if skipped == 1 else 'were'} acknowledged or resolved before."
        self.message_user(request, text, messages.SUCCESS if taken else messages.WARNING)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        incident = self.get_object(request, object_id)
        extra = extra_context or {}
        if incident is not None:
            members = incident.bots.filter(until=None)
            lines = bot_lines(members, BOTS_SHOWN)
            now_stuck = home.needs_of(incident.kinds or [incident.kind]) if self._is_stuck(incident) else None
            extra |= {
                "needs": now_stuck,
                # As Home has it, whose lines these are.
                "home": {"may_release": request.user.has_perm("jobs.release_job")},
                "title": incident.title,
                "bots": lines,
                "more_bots": members.count() - BOTS_SHOWN if len(lines) == BOTS_SHOWN else 0,
                "left": list(incident.bots.exclude(until=None).order_by("-until")[:BOTS_SHOWN]),
                "timeline": list(incident.notes.order_by("-pk")[:NOTES_SHOWN]),
                "deliveries": list(incident.deliveries.select_related("channel").order_by("-pk")[:BOTS_SHOWN]),
                "may_see_deliveries": request.user.has_perm("alerts.view_delivery"),
                "may_acknowledge": self.has_acknowledge_permission(request),
                "may_release": request.user.has_perm("jobs.release_job"),
                "remark_length": incidents_acknowledge.REMARK_LENGTH,
            }
        return super().change_view(request, object_id, form_url, extra)

    @staticmethod
    def _is_stuck(incident: Incident) -> bool:
        return incident.cause == Cause.STUCK and incident.resolved_at is None
