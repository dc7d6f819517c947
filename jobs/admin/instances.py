"""The instances on a bot's page, each with what may be done to it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from bots import audit
from bots.instances import Instance
from bots.models import Bot
from jobs import lifecycle
from jobs.lifecycle import By
from jobs.models import Job
from jobsite.lib.admin import count_of
from jobsite.lib.errors import NotFound

#: The most instances on a bot's page, and the most held jobs on the page that asks before a restart.
SHOWN, HELD_SHOWN = 20, 100


@dataclass(frozen=True)
class Button:
    """A button of an instance: its permission, whether it applies, and what it does, which says what it did."""

    label: str
    permission: str
    applies: Callable[[Instance], bool]
    act: Callable[[Bot, str, By], str]


def _pause(bot: Bot, name: str, by: By) -> str:
    lifecycle.pause_instance(bot, name, by=by)
    return "gets no new jobs, and finishes what it holds."


def _resume(bot: Bot, name: str, by: By) -> str:
    lifecycle.resume_instance(bot, name, by=by)
    return "gets new jobs."


def _clear(bot: Bot, name: str, by: By) -> str:
    lifecycle.clear_quarantine(Bot.objects.filter(pk=bot.pk), by=by, instance=name)
    return "gets new jobs. Only later expiries count."


def _restart(bot: Bot, name: str, by: By) -> str:
    _, changes = lifecycle.restart(Bot.objects.filter(pk=bot.pk), by=by, instance=name)
    return f"will be asked to restart. Released {count_of(len(changes), 'job')}."


BUTTONS = {
    "pause": Button("Pause", "bots.pause_bot", lambda one: not one.paused, _pause),
    "resume": Button("Resume", "bots.pause_bot", lambda one: one.paused, _resume),
    "clear_quarantine": Button(
        "Clear quarantine", "bots.pause_bot", lambda one: one.quarantined_at is not None, _clear
    ),
    "restart": Button("Restart", "bots.restart_bot", lambda one: one.restart_requested_at is None, _restart),
}


def listed(request: HttpRequest, bot: Bot) -> list[tuple[Instance, list[tuple[str, str]]]]:
    """The bot's instances, each with the action and label of the buttons that this user may press now."""
    allowed = {name: button for name, button in BUTTONS.items() if request.user.has_perm(button.permission)}
    return [
        (one, [(n, b.label) for n, b in allowed.items() if one.ended_at is None and b.applies(one)])
        for one in bot.instances.newest_first()[:SHOWN]
    ]


def act(admin: "ModelAdmin[Any]", request: HttpRequest, bot_id: int) -> HttpResponse:
    """Carry out what a button of an instance asks for. A restart is asked for twice."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    bot, button = Bot.objects.filter(pk=bot_id).first(), BUTTONS.get(request.POST.get("action", ""))
    if bot is None or button is None:
        raise Http404("There is no such bot or action.")
    if not request.user.has_perm(button.permission):
        raise PermissionDenied
    name = request.POST.get("instance", "").replace("\0", "")
    if button is BUTTONS["restart"] and not request.POST.get("confirmed"):
        return _ask_before_restart(admin, request, bot, name)
    try:
        if not bot.instances.current().filter(name=name).exists():
            raise NotFound(f"Bot {bot.name} has no current instance {name!r}.")
        done = button.act(bot, name, By.operator(audit.caller(request)))
        admin.message_user(request, f"Instance {name or 'without a name'} of bot {bot.name} {done}")
    except NotFound as error:
        admin.message_user(request, error.detail, "ERROR")
    return HttpResponseRedirect(reverse("admin:bots_bot_change", args=[bot.pk]))


def _ask_before_restart(admin: "ModelAdmin[Any]", request: HttpRequest, bot: Bot, name: str) -> HttpResponse:
    held = Job.objects.held_by(bot).filter(instance=name).select_related("claimed_by")
    context = admin.admin_site.each_context(request) | {
        "title": f"Restart instance {name or 'without a name'} of {bot}?",
        "opts": admin.opts,
        "instance": name,
        "jobs": held.defer("payload", "result", "error").order_by("pk")[:HELD_SHOWN],
        "back": reverse("admin:bots_bot_change", args=[bot.pk]),
    }
    return TemplateResponse(request, "admin/bots/restart.html", context)
