"""Deliveries in the admin: sent, waiting and given up. Read only, except for retries."""

from django.contrib import admin, messages
from django.contrib.admin import ShowFacets
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from alerts.delivery import messages as texts
from alerts.delivery import outbox
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

    @admin.action(description="Retry deliveries that were given up", permissions=["retry"])
    def retry(self, request: HttpRequest, rows: QuerySet[Delivery]) -> None:
        done = outbox.retry(rows, by=audit.caller(request))
        if done:
            self.message_user(request, f"{count_of(done, 'delivery', 'deliveries')} will be retried, if still true.")
        else:
            self.message_user(request, "None of these was given up.", messages.WARNING)
