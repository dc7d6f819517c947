"""Links for incident pages and notifications: bots, their jobs, and the Release page."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import QuerySet
from django.urls import reverse

from alerts.models import IncidentBot
from jobs.models import Job


class JobLinks:
    """Links to jobs as they are now. One query, or none without jobs."""

    def __init__(self, ids: Iterable[int | None]) -> None:
        wanted = {job for job in ids if job is not None}
        rows = Job.objects.filter(pk__in=wanted).values_list("pk", "claimed_by") if wanted else []
        #: For each job that exists: the id of the bot that holds it, or None.
        self.holders: dict[int, int | None] = dict(rows)

    def job_path(self, job: int | None) -> str:
        """The path of the job's page; empty if the job was deleted."""
        return reverse("admin:jobs_job_change", args=[job]) if job in self.holders else ""

    def release_path(self, job: int | None, bot: int | None) -> str:
        """The path of the job's Release page; empty unless this bot holds the job, lest another bot lose it."""
        held = job is not None and bot is not None and self.holders.get(job) == bot
        return reverse("admin:jobs_job_release", args=[job]) if held else ""


@dataclass(frozen=True)
class BotLine:
    """One bot of an incident, with links. Paths; empty where the target does not exist."""

    row: IncidentBot
    bot_url: str
    job_url: str
    #: Empty unless this bot holds the job now.
    release_url: str


def bot_lines(rows: QuerySet[IncidentBot], limit: int) -> list[BotLine]:
    """The first `limit` of these bots, in the order in which they joined. Two queries."""
    listed = list(rows.order_by("pk")[:limit])
    jobs = JobLinks(row.job_id for row in listed)
    return [
        BotLine(
            row,
            reverse("admin:bots_bot_change", args=[row.bot_id]) if row.bot_id else "",
            jobs.job_path(row.job_id),
            jobs.release_path(row.job_id, row.bot_id),
        )
        for row in listed
    ]
