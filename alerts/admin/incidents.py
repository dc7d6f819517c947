"""Incidents in the admin: what is wrong, since when and why, and taking it on."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.helpers import ActionForm
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html

from alerts.delivery.links import bots_in
from alerts.incidents import acknowledge as incidents_acknowledge
from alerts.models import Incident, IncidentBot
from alerts.states import IncidentStatus
from jobsite.lib.admin import GuardedActions, count_of
from jobsite.lib.badges import NONE, age, badge

#: How many bots and notes an incident's page shows.
BOTS, NOTES = 100, 200


class StatusFilter(admin.SimpleListFilter):
    """Open, acknowledged or resolved: no column has it."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return IncidentStatus.choices

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        return queryset.of_status(IncidentStatus(value)) if value in IncidentStatus.values else queryset


class TakeOn(ActionForm):
    """What goes along with the action."""

    remark = forms.CharField(required=False, max_length=incidents_acknowledge.REMARK_LENGTH, label="Remark")


@admin.register(Incident)
class IncidentAdmin(GuardedActions):
    """Read only, but for acknowledging: the sweep opens, changes and resolves them."""

    list_display = ["shown_severity", "title", "shown_status", "shown_kind", "opened", "how_many", "taken_by"]
    list_display_links = ["title"]
    list_filter = [StatusFilter, "severity", "cause"]
    search_fields = ["title", "about", "bots__name"]
    show_facets = ShowFacets.NEVER
    show_full_result_count = False
    list_per_page = 50
    actions = ["acknowledge"]
    action_form = TakeOn

    def get_queryset(self, request: HttpRequest) -> QuerySet[Incident]:
        there = IncidentBot.objects.filter(incident=OuterRef("pk"), until=None).order_by().values("incident")
        return Incident.objects.by_urgency().annotate(there=Subquery(there.annotate(n=Count("pk")).values("n")))

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
        return incident.kind or NONE

    @admin.display(description="opened", ordering="opened_at")
    def opened(self, incident: Incident) -> str:
        return format_html("{} ago", age(incident.opened_at))

    @admin.display(description="bots")
    def how_many(self, incident: Incident) -> str:
        return str(getattr(incident, "there", None) or NONE)

    @admin.display(description="acknowledged by", ordering="acknowledged_by")
    def taken_by(self, incident: Incident) -> str:
        return incident.acknowledged_by or NONE

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Incident | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Incident | None = None) -> bool:
        # What happened stays known.
        return False

    def has_acknowledge_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("alerts.acknowledge_incident")

    @admin.action(description="Acknowledge: I take these on", permissions=["acknowledge"])
    def acknowledge(self, request: HttpRequest, rows: QuerySet[Incident]) -> None:
        ids = list(rows.order_by().values_list("pk", flat=True).distinct())
        remark = request.POST.get("remark", "").replace("\0", "")
        taken = incidents_acknowledge.acknowledge(ids, by=request.user.get_username(), remark=remark)
        for incident in taken:
            self.log_change(request, incident, "Acknowledged.")
        left = len(ids) - len(taken)
        said = f"Acknowledged {count_of(len(taken), 'incident')}."
        if left:
            said += f" {left} {'was' if left == 1 else 'were'} resolved or somebody's already, and left alone."
        self.message_user(request, said, messages.SUCCESS if taken else messages.WARNING)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        incident = self.get_object(request, object_id)
        extra = extra_context or {}
        if incident is not None:
            there = incident.bots.filter(until=None)
            extra |= {
                "title": incident.title,
                "bots": bots_in(there, BOTS),
                "more_bots": max(0, there.count() - BOTS),
                "left": list(incident.bots.exclude(until=None).order_by("-until")[:BOTS]),
                "timeline": list(incident.notes.order_by("-pk")[:NOTES]),
                "deliveries": list(incident.deliveries.select_related("channel").order_by("-pk")[:BOTS]),
                "may_see_deliveries": request.user.has_perm("alerts.view_delivery"),
                "may_acknowledge": self.has_acknowledge_permission(request),
                "may_release": request.user.has_perm("jobs.release_job"),
                "remark_length": incidents_acknowledge.REMARK_LENGTH,
            }
        return super().change_view(request, object_id, form_url, extra)
