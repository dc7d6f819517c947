"""Channels in the admin: how each is doing, its form, a test, and a webhook's secret."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import ShowFacets
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path

from alerts.admin.forms import ChannelForm
from alerts.delivery import channels, dispatch
from alerts.models import Channel, Delivery, new_secret
from alerts.states import DeliveryStatus, Way
from jobsite.lib.admin import GuardedActions
from jobsite.lib.badges import NONE, age, badge
from jobsite.lib.durations import words

#: How many deliveries a channel's page shows.
LAST = 12


@admin.register(Channel)
class ChannelAdmin(GuardedActions):
    """Where people and programs are told of incidents."""

    form = ChannelForm
    list_display = ["name", "standing", "where", "which", "waiting", "sent", "trouble"]
    list_filter = ["enabled", "way", "min_severity"]
    search_fields = ["name"]
    show_facets = ShowFacets.NEVER
    show_full_result_count = False
    fieldsets = [
        (None, {"fields": ["name", "way", "address", "enabled"]}),
        ("Of which incidents", {"fields": ["min_severity", "kinds", "bots"]}),
        ("When", {"fields": ["after", "again_every", "quiet_from", "quiet_until", "critical_breaks_quiet"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Channel]:
        waiting = Count("deliveries", filter=Q(deliveries__status=DeliveryStatus.WAITING))
        return super().get_queryset(request).annotate(waits=waiting)

    @admin.display(description="state")
    def standing(self, channel: Channel) -> str:
        return badge(channel.standing)

    @admin.display(description="where to")
    def where(self, channel: Channel) -> str:
        return channel.shown or NONE

    @admin.display(description="of which")
    def which(self, channel: Channel) -> str:
        return ", ".join([f"from {channel.min_severity}", *channel.kinds, *channel.bots])

    @admin.display(description="waiting", ordering="waits")
    def waiting(self, channel: Channel) -> str:
        return str(channel.waits or NONE)  # type: ignore[attr-defined]

    @admin.display(description="last sent", ordering="sent_at")
    def sent(self, channel: Channel) -> str:
        return age(channel.sent_at)

    @admin.display(description="last error")
    def trouble(self, channel: Channel) -> str:
        return channel.last_error or NONE

    def get_fieldsets(self, request: HttpRequest, obj: Channel | None = None) -> Any:
        if obj is None or self.has_change_permission(request, obj):
            return self.fieldsets
        # Who may only look would be shown the fields as the row has them; the address is shown on the page, masked.
        return [
            (name, {**options, "fields": [f for f in options["fields"] if f != "address"]})
            for name, options in self.fieldsets
        ]

    def has_test_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("alerts.test_channel")

    def save_model(self, request: HttpRequest, obj: Channel, form: forms.ModelForm, change: bool) -> None:
        if not change:
            obj.save()
            return
        # Only what the form may change: a sender may have noted something since the page was made.
        obj.save(update_fields=[*ChannelForm.Meta.fields, "address", "shown"])
        if "address" in form.changed_data:
            channels.start_afresh(obj)

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
                "last": Delivery.objects.filter(channel=channel).select_related("incident").defer("message")[:LAST],
                "signs": channel.way == Way.WEBHOOK,
                "after": words(channel.after) if channel.after else "",
                "again_every": words(channel.again_every) if channel.again_every else "",
                "may_test": self.has_test_permission(request),
                "may_change": self.has_change_permission(request, channel),
            }
        return super().change_view(request, object_id, form_url, extra)

    def get_urls(self) -> Any:
        view = self.admin_site.admin_view
        ours = [
            path("<int:pk>/test/", view(self.send_test), name="alerts_channel_test"),
            path("<int:pk>/secret/", view(self.rotate), name="alerts_channel_secret"),
        ]
        return [*ours, *super().get_urls()]

    def send_test(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Send a test now, and say what the far side answered."""
        if not self.has_test_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        channel = self._channel(pk)
        answer = dispatch.test(channel, request.user.get_username())
        said = f"The test was sent. {answer.said}" if answer.ok else f"The test was not sent. {answer.said}"
        self.message_user(request, said, messages.SUCCESS if answer.ok else messages.ERROR)
        self.log_change(request, channel, said)
        return redirect("admin:alerts_channel_change", pk)

    def rotate(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask, then make a new secret and show it once."""
        channel = self._channel(pk)
        if not self.has_change_permission(request, channel):
            raise PermissionDenied
        if channel.way != Way.WEBHOOK:
            raise Http404(f"{channel} signs nothing.")
        if request.method == "POST":
            channel.secret = new_secret()
            channel.save(update_fields=["secret"])
            self.log_change(request, channel, "Secret rotated.")
            return self._show_secret(request, channel)
        context = self._context(request, channel, f"A new secret for {channel}?")
        return TemplateResponse(request, "admin/alerts/rotate.html", context)

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
