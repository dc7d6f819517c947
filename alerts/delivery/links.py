"""What stands in an incident, for those who show or tell it: bots, their jobs, and where to press Release."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import QuerySet
from django.urls import reverse

from alerts.models import IncidentBot
from jobs.models import Job


class Jobs:
    """How it stands now with the jobs that bots of an incident are about. One query, and none where there is no job."""

    def __init__(self, ids: Iterable[int | None]) -> None:
        wanted = {job for job in ids if job is not None}
        rows = Job.objects.filter(pk__in=wanted).values_list("pk", "claimed_by") if wanted else []
        #: For each that is there: the id of the bot that holds it; None where nobody does.
        self.holders: dict[int, int | None] = dict(rows)

    def page(self, job: int | None) -> str:
        """The path of the job's page; empty when it is gone."""
        return reverse("admin:jobs_job_change", args=[job]) if job in self.holders else ""

    def release(self, job: int | None, bot: int | None) -> str:
        """The path of the page that releases it; empty unless this bot holds it: another's work is not to be taken."""
        held = job is not None and bot is not None and self.holders.get(job) == bot
        return reverse("admin:jobs_job_release", args=[job]) if held else ""


@dataclass(frozen=True)
class Line:
    """One bot of an incident. Addresses are paths on this site; empty where there is nothing to go to."""

    row: IncidentBot
    bot_url: str
    job_url: str
    #: Empty unless this bot holds the job now.
    release_url: str


def bots_in(rows: QuerySet[IncidentBot], most: int) -> list[Line]:
    """The first so many of these bots, in the order in which they joined. Two queries."""
    listed = list(rows.order_by("pk")[:most])
    jobs = Jobs(row.job_id for row in listed)
    return [
        Line(
            row,
            reverse("admin:bots_bot_change", args=[row.bot_id]) if row.bot_id else "",
            jobs.page(row.job_id),
            jobs.release(row.job_id, row.bot_id),
        )
        for row in listed
    ]
