"""Bots in the admin with their jobs, which `bots.admin` cannot know."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse

from bots import audit
from bots.admin import BotAdmin
from bots.models import Bot
from jobs import lifecycle, payloads
from jobs.admin import instances
from jobs.admin.actions import INTERVENTIONS, asked, carry_out, confirmation
from jobs.admin.bot_columns import BotColumns, BotList
from jobs.lifecycle import By
from jobs.lists import drawn, home
from jobs.models import Job, JobEvent
from jobs.stats import bot_record
from jobsite.lib.admin import count_of

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
class HoldingBotAdmin(BotColumns, BotAdmin):
    """A bot with its held jobs, the job it is stuck on, and the buttons to help."""

    list_display = ["name", "state", "holds", "stuck_on", "takes", "last_day", "failing", "expired", "seen", "version"]
    show_full_result_count = False
    refreshes = True
    actions = [*BotAdmin.actions, "clear_quarantine", "restart", "release_held"]

    def get_queryset(self, request: HttpRequest) -> Any:
        return home.ranked(Bot.objects.with_quarantines()).order_by(*self.get_ordering(request))

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return "rank", "name"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[BotList]:
        return BotList

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
            asked_range = request.GET.get("range", "")
            range_name = asked_range if asked_range in bot_record.RANGES else "day"
            parts = bot_record.parts_of(bot, range_name)
            extra |= {
                "title": bot.name,
                "held_jobs": held,
                "instances": instances.listed(request, bot),
                "last_jobs": list(bot_record.last_jobs(bot)[:LAST_SHOWN]),
                "last_events": payloads.events_for(
                    request.user, JobEvent.objects.filter(bot=bot).order_by("-at").defer("detail")[:LAST_SHOWN]
                ),
                "state": bot.rank[1:],
                "stuck_until": self._stuck_until(bot),
                "range": range_name,
                "ranges": list(bot_record.RANGES),
                "record": bot_record.added([record for _, record in parts]),
                "chart": drawn.of_bot(parts, range_name),
                "fleet": bot_record.of_fleet(range_name),
                "buttons": self._buttons(request, bot, bool(held)),
                "may_release": self.has_release_permission(request),
                "may_rotate": self.has_rotate_permission(request),
                "address": request.build_absolute_uri("/").rstrip("/"),
            }
        return super().change_view(request, object_id, form_url, extra)

    @staticmethod
    def _stuck_until(bot: Any) -> datetime | None:
        if bot.rank[1:] != "was_stuck":
            return None
        found: datetime | None = Bot.objects.filter(pk=bot.pk).values_list(home.last_expiry(), flat=True).get()
        return found

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
