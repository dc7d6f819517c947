"""Bots in the admin, with what they hold: what `bots.admin` cannot know."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html

from bots.admin import BotAdmin, many
from bots.models import Bot
from jobs import lifecycle
from jobs.admin.interventions import INTERVENTIONS, carry_out, confirmation
from jobs.lifecycle import By
from jobs.models import Job, JobEvent


@admin.register(Bot)
class HoldingBotAdmin(BotAdmin):
    """A bot with the jobs it holds, the job it is stuck on, and the remedies."""

    list_display = ["name", "shown_status", "shown_health", "stuck_on", "seen", "paused", "quarantined", "version"]
    list_select_related = ["stuck_job"]
    actions = [*BotAdmin.actions, "restart", "release_held"]
    fields = [*BotAdmin.fields[:5], "health_reason", "stuck_on", *BotAdmin.fields[6:]]
    readonly_fields = [*BotAdmin.readonly_fields, "stuck_on"]

    @admin.display(description="stuck on")
    def stuck_on(self, bot: Bot) -> str:
        if bot.stuck_job_id is None:
            return "–"
        url = reverse("admin:jobs_job_change", args=[bot.stuck_job_id])
        return format_html('<a href="{}" title="{}">job {}</a>', url, bot.health_reason, bot.stuck_job_id)

    def has_restart_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("bots.restart_bot")

    def has_release_permission(self, request: HttpRequest) -> bool:
        return INTERVENTIONS["release"].allowed(request.user)

    @admin.action(description="Restart: release what they hold, and tell them to start again", permissions=["restart"])
    def restart(self, request: HttpRequest, bots: QuerySet[Bot]) -> None:
        told, changes = lifecycle.restart(bots, by=By.operator(request.user))  # type: ignore[arg-type]
        for bot in bots:
            self.log_change(request, bot, "Told to restart.")
        released = many(len(changes), "job")
        self.message_user(request, f"{many(told, 'bot')} will be told to restart. Released {released}.")

    @admin.action(description="Release what they hold", permissions=["release"])
    def release_held(self, request: HttpRequest, bots: QuerySet[Bot]) -> HttpResponse | None:
        jobs = Job.objects.held().filter(claimed_by__in=bots)
        if request.POST.get("confirmed"):
            carry_out(self, request, INTERVENTIONS["release"], list(jobs.values_list("pk", flat=True)))
            return None
        return confirmation(self, request, INTERVENTIONS["release"], jobs, reverse("admin:bots_bot_changelist"))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        bot = self.get_object(request, object_id)
        extra = extra_context or {}
        if bot is not None:
            events = JobEvent.objects.filter(bot=bot).order_by("-at")[:20]
            extra |= {
                "held_jobs": Job.objects.held_by(bot).order_by("heartbeat_at")[:100],
                "last_events": events,
                "may_release": self.has_release_permission(request),
                "may_rotate": self.has_rotate_permission(request),
            }
        return super().change_view(request, object_id, form_url, extra)
