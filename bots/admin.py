"""Show bots and API keys in the admin. `jobs.admin.bots` adds the jobs that a bot holds."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import ShowFacets
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.html import format_html_join

from bots import roster
from bots.models import ApiKey, Bot
from jobsite.lib.admin import GuardedActions, count_of
from jobsite.lib.badges import NONE, age, badge


def show_token(admin_: admin.ModelAdmin, request: HttpRequest, owner: object, token: str) -> HttpResponse:
    """Show a new token. It is not stored, so this is the only time."""
    context = admin_.admin_site.each_context(request) | {
        "title": f"The token of {owner}",
        "token": token,
        "owner": owner,
        "opts": admin_.opts,
    }
    response = TemplateResponse(request, "admin/bots/token.html", context)
    response["Cache-Control"] = "no-store"
    return response


class BotAdmin(GuardedActions):
    """Edit identity, token, pause and quarantine. Health and status are only shown."""

    list_display = ["name", "shown_status", "shown_health", "seen", "halted", "version"]
    list_filter = ["status", "health_status", "paused"]
    search_fields = ["name"]
    show_facets = ShowFacets.NEVER
    # The fields that people may change. `jobs.admin.bots` shows the rest.
    fields = ["name", "kinds", "capacity", "expected"]
    actions = ["pause", "resume", "clear_quarantine", "revoke_tokens"]

    @admin.display(description="status", ordering="status")
    def shown_status(self, bot: Bot) -> str:
        return badge(bot.status)

    @admin.display(description="health", ordering="health_status")
    def shown_health(self, bot: Bot) -> str:
        return badge(bot.health_status)

    @admin.display(description="last seen", ordering="last_seen_at")
    def seen(self, bot: Bot) -> str:
        return age(bot.last_seen_at)

    @admin.display(description="no new jobs")
    def halted(self, bot: Bot) -> str:
        words = ["quarantined"] * (bot.quarantined_at is not None) + ["paused"] * bot.paused
        return format_html_join(" ", "{}", ((badge(word),) for word in words)) or NONE

    def has_delete_permission(self, request: HttpRequest, obj: Bot | None = None) -> bool:
        # The history has its name, and its jobs would have no holder. Revoke its token instead.
        return False

    def has_pause_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("bots.pause_bot")

    def has_rotate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("bots.rotate_bot_token")

    def get_form(self, request: HttpRequest, obj: Bot | None = None, change: bool = False, **kwargs: Any) -> Any:
        kwargs.setdefault("help_texts", {"name": "Unique in the fleet; history knows it by this name."})
        return super().get_form(request, obj, change, **kwargs)

    def save_model(self, request: HttpRequest, obj: Bot, form: forms.ModelForm, change: bool) -> None:
        if change:
            # Only the form's fields: the bot's state may have changed since the page was rendered.
            obj.save(update_fields=["name", "kinds", "capacity", "expected"])
            return
        bot, token = roster.register(
            name=obj.name,
            kinds=obj.kinds,
            capacity=obj.capacity,
            expected=obj.expected,
            by=request.user.get_username(),
        )
        obj.pk, obj._token = bot.pk, token  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: Bot, post_url_continue: str | None = None) -> HttpResponse:
        return show_token(self, request, obj, obj._token)  # type: ignore[attr-defined]

    @admin.action(description="Pause: no new jobs", permissions=["pause"])
    def pause(self, request: HttpRequest, bots: QuerySet[Bot]) -> None:
        changing = list(bots.filter(paused=False))
        done = roster.pause(bots, by=request.user.get_username())
        for bot in changing:
            self.log_change(request, bot, "Paused.")
        self.message_user(request, f"Paused {count_of(done, 'bot')}; each finishes what it holds.")

    @admin.action(description="Resume: new jobs again", permissions=["pause"])
    def resume(self, request: HttpRequest, bots: QuerySet[Bot]) -> None:
        changing = list(bots.filter(paused=True))
        done = roster.resume(bots, by=request.user.get_username())
        for bot in changing:
            self.log_change(request, bot, "Resumed.")
        self.message_user(request, f"Resumed {count_of(done, 'bot')}.")

    @admin.action(description="Clear quarantine", permissions=["pause"])
    def clear_quarantine(self, request: HttpRequest, bots: QuerySet[Bot]) -> None:
        changing = list(bots.exclude(quarantined_at=None))
        done = roster.clear_quarantine(bots, by=request.user.get_username())
        for bot in changing:
            self.log_change(request, bot, "Quarantine cleared.")
        self.message_user(request, f"Cleared the quarantine of {count_of(done, 'bot')}.")

    @admin.action(description="Revoke tokens: these bots cannot call any more", permissions=["rotate"])
    def revoke_tokens(self, request: HttpRequest, bots: QuerySet[Bot]) -> None:
        changing = list(bots.exclude(token_digest=None))
        done = roster.revoke(bots, by=request.user.get_username())
        for bot in changing:
            self.log_change(request, bot, "Token revoked.")
        self.message_user(request, f"Revoked {count_of(done, 'token')}.", messages.WARNING)

    def get_urls(self) -> Any:
        rotate = path("<int:bot_id>/rotate/", self.admin_site.admin_view(self.rotate), name="bots_bot_rotate")
        return [rotate, *super().get_urls()]

    def rotate(self, request: HttpRequest, bot_id: int) -> HttpResponse:
        """Ask, then create a new token and show it once."""
        if not self.has_rotate_permission(request):
            raise PermissionDenied
        bot = Bot.objects.filter(pk=bot_id).first()
        if bot is None:
            raise Http404(f"There is no bot {bot_id}.")
        if request.method == "POST":
            token = roster.rotate(bot, by=request.user.get_username())
            self.log_change(request, bot, "Token rotated.")
            return show_token(self, request, bot, token)
        context = self.admin_site.each_context(request) | {
            "title": f"A new token for {bot}?",
            "bot": bot,
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/bots/rotate.html", context)


@admin.register(ApiKey)
class ApiKeyAdmin(GuardedActions):
    """Create and revoke the keys of operators and producers. A key is shown once."""

    list_display = ["shown_prefix", "user", "name", "made", "used", "revoked"]
    list_select_related = ["user"]
    search_fields = ["prefix", "name", "user__username"]
    actions = ["revoke"]

    @admin.display(description="key", ordering="prefix")
    def shown_prefix(self, key: ApiKey) -> str:
        return f"{key.prefix}…"

    @admin.display(description="made", ordering="created_at")
    def made(self, key: ApiKey) -> str:
        return age(key.created_at)

    @admin.display(description="last used", ordering="last_used_at")
    def used(self, key: ApiKey) -> str:
        return age(key.last_used_at)

    @admin.display(description="revoked", ordering="revoked_at")
    def revoked(self, key: ApiKey) -> str:
        return age(key.revoked_at)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        return ["user", "name"] if obj is None else ["shown_prefix", "user", "name", "made", "used", "revoked"]

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    def has_add_permission(self, request: HttpRequest) -> bool:
        # A key acts as its user: who may create keys for others may act as anyone.
        return bool(request.user.is_superuser)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("bots.revoke_apikey")

    def save_model(self, request: HttpRequest, obj: ApiKey, form: forms.ModelForm, change: bool) -> None:
        key, token = roster.create_key(obj.user, obj.name, by=request.user.get_username())
        obj.pk, obj.prefix, obj._token = key.pk, key.prefix, token  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        return show_token(self, request, obj, obj._token)  # type: ignore[attr-defined]

    @admin.action(description="Revoke: these keys stop working at once", permissions=["revoke"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        changing = list(keys.filter(revoked_at=None))
        done = roster.revoke_keys(keys, by=request.user.get_username())
        for key in changing:
            self.log_change(request, key, "Revoked.")
        self.message_user(request, f"Revoked {count_of(done, 'key')}.", messages.WARNING)
