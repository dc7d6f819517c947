"""The columns of the list of bots in the admin, and the list, which reads what they show with a few queries."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Count, F, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from bots.instances import Instance
from bots.models import Bot
from jobs.models import Job
from jobs.stats import bot_record
from jobs.stats.bot_record import Record
from jobsite.lib.badges import NONE, age, badge

#: The most kinds that are named in the list.
KINDS_NAMED = 3


class BotList(ChangeList):
    """Bots with what they hold, their slots and their record of the last day: three queries for all rows."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list: Any = list(self.result_list)
        ids = [bot.pk for bot in self.result_list]
        held = Job.objects.filter(claimed_by__in=ids).order_by().values_list("claimed_by").annotate(n=Count("pk"))
        holds = dict(held)
        # Of bots all of whose processes say how many slots they have.
        seen = Instance.objects.seen(settings.BOT_DOWN_AFTER).filter(bot__in=ids).order_by().values("bot")
        slots = seen.annotate(n=Sum(F("slots") - F("slots_lost")), known=Count("slots"), all=Count("pk"))
        room = {row["bot"]: row["n"] for row in slots if row["known"] == row["all"]}
        records = bot_record.of_last_day(ids)
        for bot in self.result_list:
            bot.holds, bot.room = holds.get(bot.pk, 0), room.get(bot.pk, bot.capacity)
            bot.record = records.get(bot.pk, Record())


class BotColumns:
    """What the list shows of a bot."""

    @admin.display(description="state", ordering="rank")
    def state(self, bot: Any) -> str:
        words = [bot.rank[1:]]
        words += ["paused"] * (bot.paused and "paused" not in words)
        words += ["quarantined"] * (bool(bot.quarantines) and "quarantined" not in words)
        return format_html("{}" * len(words), *(badge(word) for word in words))

    @admin.display(description="holds")
    def holds(self, bot: Any) -> str:
        return str(bot.holds) if bot.room is None else f"{bot.holds} of {bot.room}"

    @admin.display(description="stuck on")
    def stuck_on(self, bot: Bot) -> str:
        if bot.stuck_job_id is None:
            return NONE
        url = reverse("admin:jobs_job_change", args=[bot.stuck_job_id])
        return format_html('<a href="{}" title="{}">job {}</a>', url, bot.health_reason, bot.stuck_job_id)

    @admin.display(description="takes")
    def takes(self, bot: Bot) -> str:
        more = len(bot.kinds) - KINDS_NAMED
        named = ", ".join(bot.kinds[:KINDS_NAMED]) or "any kind"
        return f"{named} and {more} more" if more > 0 else named

    @admin.display(description="ended, last day")
    def last_day(self, bot: Any) -> str:
        record: Record = bot.record
        return str(record.succeeded + record.failed)

    @admin.display(description="failed")
    def failing(self, bot: Any) -> str:
        record: Record = bot.record
        done = record.succeeded + record.failed
        return f"{record.failed / done * 100:.1f} %" if done else NONE

    @admin.display(description="expired")
    def expired(self, bot: Any) -> str:
        return str(bot.record.expired or NONE)

    @admin.display(description="last seen", ordering="last_seen_at")
    def seen(self, bot: Bot) -> str:
        return age(bot.last_seen_at)
