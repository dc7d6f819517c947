"""Deliveries in the admin: sent, waiting and given up. Read only, except for retries."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import ShowFacets
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.html import format_html

from alerts.delivery import held, outbox
from alerts.delivery import messages as texts
from alerts.models import Delivery
from alerts.states import Moment
from bots import audit
from bots.audited_admin import AuditedAdmin
from jobsite.lib.admin import count_of
from jobsite.lib.badges import NONE, age, badge

FIELDS = ("shown_status", "channel", "incident", "moment", "answer", "tries", "made", "due", "sent", "uid", "text")


@admin.register(Delivery)
class DeliveryAdmin(AuditedAdmin):
    """Deliveries: one notification for one channel each."""

    list_display = ["made", "title", "moment", "channel", "shown_status", "tries", "answer"]
    list_display_links = ["title"]
    list_filter = ["status", "moment", "channel"]
    list_select_related = ["channel", "incident"]
    show_facets = ShowFacets.NEVER
    show_full_result_count = False
    actions = ["retry"]
    fields = FIELDS
    readonly_fields = FIELDS

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        all_held = held.held()
        extra = {"subtitle": f"Alerts are {all_held}"} if all_held else {}
        return super().changelist_view(request, extra | (extra_context or {}))

    @admin.display(description="age", ordering="id")
    def made(self, row: Delivery) -> str:
        return age(row.created_at)

    @admin.display(description="incident")
    def title(self, row: Delivery) -> str:
        return row.incident.title

    @admin.display(description="status", ordering="status")
    def shown_status(self, row: Delivery) -> str:
        return badge(row.status)

    @admin.display(description="last answer")
    def answer(self, row: Delivery) -> str:
        return row.error or row.outcome or NONE

    @admin.display(description="due")
    def due(self, row: Delivery) -> str:
        return age(row.due_at)

    @admin.display(description="sent")
    def sent(self, row: Delivery) -> str:
        return age(row.sent_at)

    @admin.display(description="text")
    def text(self, row: Delivery) -> str:
        moment = Moment(row.moment)
        text = f"{texts.subject(row.message, moment)}\n\n{texts.text(row.message, moment, str(row.uid))}"
        return format_html('<pre tabindex="0" role="group" aria-label="Text">{}</pre>', text)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Delivery | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Delivery | None = None) -> bool:
        return False

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("alerts.retry_delivery")

    def has_send_held_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("alerts.send_held_delivery")

    def get_urls(self) -> Any:
        view = self.admin_site.admin_view(self.send_held)
        return [path("send-held/", view, name="alerts_delivery_send_held"), *super().get_urls()]

    def send_held(self, request: HttpRequest) -> HttpResponse:
        """Confirm, then send what is held back after a restore."""
        if not self.has_send_held_permission(request):
            raise PermissionDenied
        all_held = held.held()
        if request.method == "POST":
            sent = held.send(by=audit.caller(request))
            text = f"Alerts are sent again. They were {sent}." if sent else "Alerts were not held back."
            self.message_user(request, text, messages.SUCCESS if sent else messages.WARNING)
            return redirect("admin:index")
        title = "Send the alerts that are held back?" if all_held else "No alerts are held back"
        context = self.admin_site.each_context(request) | {"title": title, "held": all_held, "opts": self.opts}
        return TemplateResponse(request, "admin/alerts/send_held.html", context)

    @admin.action(description="Retry deliveries that were given up", permissions=["retry"])
    def retry(self, request: HttpRequest, rows: QuerySet[Delivery]) -> None:
        done = outbox.retry(rows, by=audit.caller(request))
        if done:
            self.message_user(request, f"{count_of(done, 'delivery', 'deliveries')} will be retried, if still true.")
        else:
            self.message_user(request, "None of these was given up.", messages.WARNING)
