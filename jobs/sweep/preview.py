"""What a sweep would do, for a dry run."""

from django.conf import settings
from django.db.models.functions import Coalesce, Now

from bots.models import Bot
from bots.states import BotStatus
from jobs import lifecycle
from jobs.states import JobStatus
from jobs.sweep import verdicts
from jobs.sweep.batches import Due, count_verdict, still_due
from jobs.sweep.fleet import chunks
from jobs.sweep.result import Act, Swept
from jobsite.lib.durations import words


def preview_leases(swept: Swept, batch: list[Due], would_expire: dict[int, list[int]]) -> None:
    """For a dry run: what would become of these leases, and which would expire under which bot."""
    for verdict in verdicts.verdicts(lifecycle.watched(still_due(batch))):
        count_verdict(swept, verdict, every=True)
        if verdict.action == "expire":
            swept.failed += verdict.becomes == JobStatus.FAILED
            would_expire.setdefault(verdict.watch.bot_id, []).append(verdict.watch.lease.job_id)


def preview_bots(swept: Swept, would_expire: dict[int, list[int]]) -> None:
    """For a dry run: which bots would be put into quarantine by what would expire, and which would be down."""
    for ids in chunks(sorted(would_expire)):
        for bot, reason in verdicts.flapping(ids, would_expire).items():
            swept.actions.append(Act("quarantine", bot, reason))
    limit = settings.BOT_DOWN_AFTER
    unseen = Bot.objects.unseen(limit).exclude(status=BotStatus.DOWN).order_by("pk")
    for bot, silent in unseen.values_list("pk", Now() - Coalesce("last_seen_at", "created_at")):
        swept.actions.append(Act("down", bot, f"not seen for {words(silent)}, limit {words(limit)}"))
