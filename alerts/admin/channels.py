"""Channels in the admin: list, form, test notification, and a webhook's secret."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import ShowFacets
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path

from alerts.admin.forms import ChannelForm
from alerts.delivery import channels, dispatch
from alerts.models import Channel, Delivery
from alerts.states import SECRET_PREFIX, DeliveryStatus, Way
from bots import audit
from bots.acts import Act
from bots.audited_admin import AuditedAdmin
from jobsite.lib.badges import NONE, age, badge
from jobsite.lib.durations import words

#: The most deliveries shown on a channel's page.
DELIVERIES_SHOWN = 12
FORMER_SIGNATURE = "Jobsite-Signature, until you create a new secret"


@admin.register(Channel)
class ChannelAdmin(AuditedAdmin):
    """Channels: where notifications go."""

    form = ChannelForm
    list_in_transaction = True
    list_display = ["name", "shown_state", "shown_address", "filters", "waiting", "sent", "shown_error"]
    list_filter = ["enabled", "way", "min_severity"]
    search_fields = ["name"]
    show_facets = ShowFacets.NEVER
    show_full_result_count = False
    fieldsets = [
        (None, {"fields": ["name", "way", "address", "enabled"]}),
        ("Filters", {"fields": ["min_severity", "kinds", "bots"]}),
        ("Times", {"fields": ["after", "again_every", "quiet_from", "quiet_until", "critical_breaks_quiet"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Channel]:
        waiting = Count("deliveries", filter=Q(deliveries__status=DeliveryStatus.WAITING))
        channels: QuerySet[Channel] = super().get_queryset(request)
        return channels.annotate(waits=waiting)

    @admin.display(description="state")
    def shown_state(self, channel: Channel) -> str:
        return badge(channel.state)

    @admin.display(description="address")
    def shown_address(self, channel: Channel) -> str:
        return channel.shown or NONE

    @admin.display(description="filters")
    def filters(self, channel: Channel) -> str:
        return ", ".join([f"from {channel.min_severity}", *channel.kinds, *channel.bots])

    @admin.display(description="waiting", ordering="waits")
    def waiting(self, channel: Channel) -> str:
        return str(channel.waits or NONE)  # type: ignore[attr-defined]

    @admin.display(description="last sent", ordering="sent_at")
    def sent(self, channel: Channel) -> str:
        return age(channel.sent_at)

    @admin.display(description="last error")
    def shown_error(self, channel: Channel) -> str:
        return channel.last_error or NONE

    def get_fieldsets(self, request: HttpRequest, obj: Channel | None = None) -> Any:
        if obj is None or self.has_change_permission(request, obj):
            return self.fieldsets
        # A read-only form would show the address in clear. The page shows it masked.
        return [
            (name, {**options, "fields": [f for f in options["fields"] if f != "address"]})
            for name, options in self.fieldsets
        ]

    def has_change_permission(self, request: HttpRequest, obj: Channel | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.retired_at is None)

    def has_delete_permission(self, request: HttpRequest, obj: Channel | None = None) -> bool:
        # Its deliveries are history: with any it is retired instead.
        return super().has_delete_permission(request, obj) and (obj is None or not obj.deliveries.exists())

    def has_retire_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("alerts.delete_channel")

    def has_test_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("alerts.test_channel")

    def save_model(self, request: HttpRequest, obj: Channel, form: forms.ModelForm, change: bool) -> None:
        if not change:
            obj.save()
            return
        # Only the form's fields: a sender may have updated the row since the page was rendered.
        obj.save(update_fields=[*ChannelForm.Meta.fields, "address", "shown"])
        if "address" in form.changed_data:
            channels.reset_after_new_address(obj)

    def log_deletions(self, request: HttpRequest, queryset: Iterable[Channel]) -> None:  # type: ignore[override]
        """Record deletions of those that will be deleted: another may just have got its first delivery."""
        found = Channel.objects.filter(pk__in=[channel.pk for channel in queryset])
        super().log_deletions(request, channels.unused(found))

    def delete_model(self, request: HttpRequest, obj: Channel) -> None:
        channels.delete_unused(Channel.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Channel]) -> None:
        channels.delete_unused(Channel.objects.filter(pk__in=queryset.values("pk")))

    def response_add(self, request: HttpRequest, obj: Channel, post_url_continue: str | None = None) -> HttpResponse:
        if obj.way == Way.WEBHOOK:
            return self._show_secret(request, obj)
        return super().response_add(request, obj, post_url_continue)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        channel = self.get_object(request, object_id)
        extra = extra_context or {}
        if channel is not None:
            extra |= {
                "title": channel.name,
                "last": Delivery.objects.filter(channel=channel)
                .select_related("incident")
                .defer("message")[:DELIVERIES_SHOWN],
                "signs": channel.way == Way.WEBHOOK,
                "signature": "Standard Webhooks" if channel.secret.startswith(SECRET_PREFIX) else FORMER_SIGNATURE,
                "after": words(channel.after) if channel.after else "",
                "again_every": words(channel.again_every) if channel.again_every else "",
                "may_test": self.has_test_permission(request) and channel.retired_at is None,
                "may_retire": self.has_retire_permission(request) and channel.retired_at is None,
                "may_change": self.has_change_permission(request, channel),
            }
        return super().change_view(request, object_id, form_url, extra)

    def get_urls(self) -> Any:
        view = self.admin_site.admin_view
        own_pages = [
            path("<int:pk>/test/", view(self.send_test), name="alerts_channel_test"),
            path("<int:pk>/secret/", view(self.rotate), name="alerts_channel_secret"),
            path("<int:pk>/retire/", view(self.retire), name="alerts_channel_retire"),
        ]
        return [*own_pages, *super().get_urls()]

    def send_test(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Send a test notification now, and show the receiver's answer."""
        if not self.has_test_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        channel = self._channel(pk)
        if channel.retired_at is not None:
            raise Http404(f"{channel} is retired.")
        result = dispatch.send_test(channel, request.user.get_username())
        with transaction.atomic():
            self.record(request, Act.TEST, [audit.subject(channel, after={"sent": result.ok})])
        text = f"The test was sent. {result.detail}" if result.ok else f"The test was not sent. {result.detail}"
        self.message_user(request, text, messages.SUCCESS if result.ok else messages.ERROR)
        return redirect("admin:alerts_channel_change", pk)

    def rotate(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Confirm, then create a new secret and show it once."""
        channel = self._channel(pk)
        if not self.has_change_permission(request, channel):
            raise PermissionDenied
        if channel.way != Way.WEBHOOK:
            raise Http404(f"{channel} signs nothing.")
        if request.method == "POST":
            channels.rotate_secret(channel, by=audit.caller(request))
            return self._show_secret(request, channel)
        context = self._context(request, channel, f"A new secret for {channel}?")
        return TemplateResponse(request, "admin/alerts/rotate.html", context)

    def retire(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Confirm, then retire the channel."""
        channel = self._channel(pk)
        if not self.has_retire_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            if channels.retire(channel, by=audit.caller(request)):
                self.message_user(request, f"Retired {channel}. Its deliveries stay.")
            return redirect("admin:alerts_channel_change", pk)
        context = self._context(request, channel, f"Retire {channel}?")
        return TemplateResponse(request, "admin/alerts/retire.html", context)

    def _show_secret(self, request: HttpRequest, channel: Channel) -> HttpResponse:
        context = self._context(request, channel, f"The secret of {channel}") | {"secret": channel.secret}
        response = TemplateResponse(request, "admin/alerts/secret.html", context)
        response["Cache-Control"] = "no-store"
        return response

    def _context(self, request: HttpRequest, channel: Channel, title: str) -> dict[str, Any]:
        return self.admin_site.each_context(request) | {"title": title, "channel": channel, "opts": self.opts}

    def _channel(self, pk: int) -> Channel:
        channel = Channel.objects.filter(pk=pk).first()
        if channel is None:
            raise Http404(f"There is no channel {pk}.")
        return channel
