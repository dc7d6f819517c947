"""Show bots in the admin. `jobs.admin.bots` adds the jobs that a bot holds."""

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import ShowFacets
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path

from bots import audit, people_admin, roster  # noqa: F401  people_admin registers its pages
from bots.audited_admin import AuditedAdmin
from bots.keys_admin import show_token
from bots.models import Bot, BotQuerySet
from jobsite.lib.admin import count_of


class BotAdmin(AuditedAdmin):
    """Edit identity, token, pause and quarantine. Health and status are only shown."""

    list_filter = ["status", "health_status", "paused"]
    search_fields = ["name"]
    show_facets = ShowFacets.NEVER
    # The fields that people may change. `jobs.admin.bots` shows the rest, and the columns of the list.
    fields = ["name", "kinds", "capacity", "expected"]
    actions = ["pause", "resume", "revoke_tokens"]
    adds_by_verb = True

    def get_queryset(self, request: HttpRequest) -> BotQuerySet:
        return cast(BotQuerySet, super().get_queryset(request)).with_quarantines()

    def has_delete_permission(self, request: HttpRequest, obj: Bot | None = None) -> bool:
        # The history has its name, and its jobs would have no holder. Revoke its token instead.
        return False

    def has_pause_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("bots.pause_bot")

    def has_rotate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("bots.rotate_bot_token")

    def get_readonly_fields(self, request: HttpRequest, obj: Bot | None = None) -> list[str]:
        # The history, incidents and log lines have its name.
        return [] if obj is None else ["name"]

    def get_form(self, request: HttpRequest, obj: Bot | None = None, change: bool = False, **kwargs: Any) -> Any:
        kwargs.setdefault("help_texts", {"name": "Unique in the fleet. It stays, because the history has it."})
        return super().get_form(request, obj, change, **kwargs)

    def save_model(self, request: HttpRequest, obj: Bot, form: forms.ModelForm, change: bool) -> None:
        if change:
            # Only the form's fields: the bot's state may have changed since the page was rendered.
            obj.save(update_fields=["kinds", "capacity", "expected"])
            return
        bot, token = roster.register(
            name=obj.name,
            kinds=obj.kinds,
            capacity=obj.capacity,
            expected=obj.expected,
            by=audit.caller(request),
        )
        obj.pk, obj._token = bot.pk, token  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: Bot, post_url_continue: str | None = None) -> HttpResponse:
        return show_token(self, request, obj, obj._token)  # type: ignore[attr-defined]

    @admin.action(description="Pause: no new jobs", permissions=["pause"])
    def pause(self, request: HttpRequest, bots: QuerySet[Bot]) -> None:
        done = roster.pause(bots, by=audit.caller(request))
        self.message_user(request, f"Paused {count_of(done, 'bot')}; each finishes what it holds.")

    @admin.action(description="Resume: new jobs again", permissions=["pause"])
    def resume(self, request: HttpRequest, bots: QuerySet[Bot]) -> None:
        done = roster.resume(bots, by=audit.caller(request))
        self.message_user(request, f"Resumed {count_of(done, 'bot')}.")

    @admin.action(description="Revoke tokens: these bots cannot call any more", permissions=["rotate"])
    def revoke_tokens(self, request: HttpRequest, bots: QuerySet[Bot]) -> None:
        done = roster.revoke(bots, by=audit.caller(request))
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
            token = roster.rotate(bot, by=audit.caller(request))
            return show_token(self, request, bot, token)
        context = self.admin_site.each_context(request) | {
            "title": f"A new token for {bot}?",
            "bot": bot,
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/bots/rotate.html", context)
