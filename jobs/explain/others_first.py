"""Explain that a job goes to another instance first: its lease expired under one, or was released to another."""

from typing import Any

from django.utils import timezone

from bots.instances import Instance
from jobs.models import Job
from jobsite.lib.badges import exact


def others_first(job: Job) -> list[tuple[str, dict[str, Any]]]:
    """The text and values of that fact, if it is one now."""
    if job.not_for is None or job.not_for_until is None or job.not_for_until <= timezone.now():
        return []
    own = Instance.objects.select_related("bot").filter(pk=job.not_for).first()
    bot = "a bot" if own is None else f"{own.bot}, instance {own.name}" if own.name else str(own.bot)
    says = f"until {exact(job.not_for_until)}: its last lease was under {bot}"
    return [(says, {"bot": own and own.bot_id, "instance": own and own.name, "until": job.not_for_until})]
