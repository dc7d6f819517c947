"""Bots in the admin with their jobs, which `bots.admin` cannot know."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html

from bots import audit
from bots.admin import BotAdmin
from bots.models import Bot
from jobs import lifecycle, payloads
from jobs.admin import instances
from jobs.admin.actions import INTERVENTIONS, asked, carry_out, confirmation
from jobs.lifecycle import By
from jobs.models import Job, JobEvent
from jobs.stats import bot_record
from jobsite.lib.admin import count_of
from jobsite.lib.badges import NONE

#: The most held jobs, and last jobs and events, on a bot's page.
HELD_SHOWN, LAST_SHOWN = 100, 10
#: The buttons on a bot's page: `(action, label, method for the permission)`. Those that do not apply are greyed out.
BUTTONS = (
    ("release_held", "Release its jobs", "has_release_permission"),
    ("pause", "Pause", "has_pause_permission"),
    ("resume", "Resume", "has_pause_permission"),
    ("clear_quarantine", "Clear quarantine", "has_pause_permission"),
    ("restart", "Restart", "has_restart_permission"),
)


@admin.register(Bot)
class HoldingBotAdmin(BotAdmin):
    """A bot with its held jobs, the job it is stuck on, and the buttons to help."""

    list_display = ["name", "shown_status", "shown_health", "stuck_on", "seen", "halted", "version"]
    show_full_result_count = False
    actions = [*BotAdmin.actions, "clear_quarantine", "restart", "release_held"]

    @admin.display(description="stuck on")
    def stuck_on(self, bot: Bot) -> str:
        if bot.stuck_job_id is None:
            return NONE
        url = reverse("admin:jobs_job_change", args=[bot.stuck_job_id])
        return format_html('<a href="{}" title="{}">job {}</a>', url, bot.health_reason, bot.stuck_job_id)

    def has_restart_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("bots.restart_bot")

    def has_release_permission(self, request: HttpRequest) -> bool:
        return INTERVENTIONS["release"].allowed(request.user)

    @admin.action(description="Clear quarantine", permissions=["pause"])
    def clear_quarantine(self, request: HttpRequest, bots: QuerySet[Bot]) -> None:
        done = lifecycle.clear_quarantine(bots, by=By.operator(audit.caller(request)))
        self.message_user(request, f"Cleared the quarantine of {count_of(done, 'bot')}.")

    @admin.action(description="Restart: release their jobs, and ask them to restart", permissions=["restart"])
    def restart(self, request: HttpRequest, bots: QuerySet[Bot]) -> HttpResponse | None:
        if request.POST.get("back") and not request.POST.get("confirmed"):
            # A button on the bot's page is pressed by mistake more easily than an action in the list: confirm it.
            return self._ask_before_restart(request, bots)
        asked_bots, changes = lifecycle.restart(bots, by=By.operator(audit.caller(request)))
        released = count_of(len(changes), "job")
        self.message_user(request, f"{count_of(asked_bots, 'bot')} will be asked to restart. Released {released}.")
        return None

    def _ask_before_restart(self, request: HttpRequest, bots: QuerySet[Bot]) -> HttpResponse:
        held = Job.objects.held().filter(claimed_by__in=bots).select_related("claimed_by")
        context = self.admin_site.each_context(request) | {
            "title": f"Restart {', '.join(bot.name for bot in bots)}?",
            "opts": self.opts,
            "bots": bots,
            "jobs": held.defer("payload", "result", "error").order_by("pk")[:HELD_SHOWN],
            "back": request.POST["back"],
        }
        return TemplateResponse(request, "admin/bots/restart.html", context)

    @admin.action(description="Release their jobs", permissions=["release"])
    def release_held(self, request: HttpRequest, bots: QuerySet[Bot]) -> HttpResponse | None:
        jobs = Job.objects.held().filter(claimed_by__in=bots)
        if request.POST.get("confirmed"):
            given, _ = asked(request, INTERVENTIONS["release"])
            carry_out(self, request, INTERVENTIONS["release"], list(jobs.values_list("pk", flat=True)), given)
            return None
        return confirmation(self, request, INTERVENTIONS["release"], jobs, reverse("admin:bots_bot_changelist"))

    def get_urls(self) -> Any:
        act = path("<int:bot_id>/instance/", self.admin_site.admin_view(self.instance), name="bots_bot_instance")
        return [act, *super().get_urls()]

    def instance(self, request: HttpRequest, bot_id: int) -> HttpResponse:
        """Pause, resume or restart one of its instances, or clear its quarantine."""
        return instances.act(self, request, bot_id)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        bot = self.get_object(request, object_id)
        extra = extra_context or {}
        if bot is not None:
            held = list(
                Job.objects.held_by(bot).defer("payload", "result", "error").order_by("heartbeat_at")[:HELD_SHOWN]
            )
            extra |= {
                "title": bot.name,
                "held_jobs": held,
                "instances": instances.listed(request, bot),
                "last_jobs": list(bot_record.last_jobs(bot)[:LAST_SHOWN]),
                "last_events": payloads.events_for(
                    request.user, JobEvent.objects.filter(bot=bot).order_by("-at").defer("detail")[:LAST_SHOWN]
                ),
                "record": bot_record.record_of(bot),
                "fleet": bot_record.of_fleet(),
                "buttons": self._buttons(request, bot, bool(held)),
                "may_release": self.has_release_permission(request),
                "may_rotate": self.has_rotate_permission(request),
                "address": request.build_absolute_uri("/").rstrip("/"),
            }
        return super().change_view(request, object_id, form_url, extra)

    def _buttons(self, request: HttpRequest, bot: Bot, holds: bool) -> list[dict[str, str]]:
        """The buttons this user may use, each with the reason if it does not apply now."""
        why_not = {
            "release_held": "" if holds else "it holds no jobs",
            "pause": "it is paused already" if bot.paused else "",
            "resume": "" if bot.paused else "it is not paused",
            "clear_quarantine": "" if bot.quarantines else "it is not in quarantine",
            "restart": "",
        }
        return [
            {"action": action, "label": label, "why_not": why_not[action]}
            for action, label, allowed in BUTTONS
            if getattr(self, allowed)(request)
        ]
