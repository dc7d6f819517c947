"""Preview a sweep, for its dry run."""

from django.conf import settings
from django.db.models.functions import Coalesce, Now

from bots.models import Bot
from bots.states import BotStatus
from jobs import lifecycle
from jobs.states import JobStatus
from jobs.sweep import verdicts
from jobs.sweep.batches import Due, count_decision, in_batches, still_due
from jobs.sweep.result import SweepAction, Swept
from jobsite.lib.durations import words


def preview_leases(swept: Swept, batch: list[Due], would_expire: dict[int, list[int]]) -> None:
    """List what would be done with these leases, and note which would expire under which bot."""
    for decision in verdicts.decide_all(lifecycle.check_leases(still_due(batch))):
        count_decision(swept, decision, every=True)
        if decision.action == "expire":
            swept.failed += decision.becomes == JobStatus.FAILED
            would_expire.setdefault(decision.check.bot_id, []).append(decision.check.lease.job_id)


def preview_bots(swept: Swept, would_expire: dict[int, list[int]]) -> None:
    """List the bots that would be quarantined because of what would expire, and those that would be down."""
    for ids in in_batches(sorted(would_expire)):
        for bot, reason in verdicts.flapping(ids, would_expire).items():
            swept.actions.append(SweepAction("quarantine", bot, reason))
    limit = settings.BOT_DOWN_AFTER
    unseen = Bot.objects.unseen(limit).exclude(status=BotStatus.DOWN).order_by("pk")
    for bot, silent in unseen.values_list("pk", Now() - Coalesce("last_seen_at", "created_at")):
        swept.actions.append(SweepAction("down", bot, f"not seen for {words(silent)}, limit {words(limit)}"))
