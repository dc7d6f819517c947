"""Preview a sweep, for its dry run."""

from django.conf import settings
from django.db.models.functions import Coalesce, Now

from bots.models import Bot
from bots.states import BotStatus
from jobs import lifecycle
from jobs.states import JobStatus
from jobs.sweep import suspects, verdicts
from jobs.sweep.batches import Due, count_decision, still_due
from jobs.sweep.result import SweepAction, Swept
from jobsite.lib.durations import words


def preview_leases(swept: Swept, batch: list[Due]) -> None:
    """List what would be done with these leases."""
    for decision in verdicts.decide_all(lifecycle.check_leases(still_due(batch))):
        count_decision(swept, decision, every=True)
        if decision.action == "expire":
            swept.failed += decision.becomes == JobStatus.FAILED


def preview_bots(swept: Swept, kind: str | None) -> None:
    """List the bots that would be quarantined because of jobs that have ended, and those that would be down."""
    suspects.foresee(swept, kind)
    limit = settings.BOT_DOWN_AFTER
    unseen = Bot.objects.unseen(limit).exclude(status=BotStatus.DOWN).order_by("pk")
    for bot, silent in unseen.values_list("pk", Now() - Coalesce("last_seen_at", "created_at")):
        swept.actions.append(SweepAction("down", bot, f"not seen for {words(silent)}, limit {words(limit)}"))
