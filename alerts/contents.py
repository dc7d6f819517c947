"""What stands in an incident, for those who show or tell it: bots, their jobs, and where to press Release."""

from dataclasses import dataclass

from django.db.models import QuerySet
from django.urls import reverse

from alerts.models import IncidentBot
from jobs.models import Job


@dataclass(frozen=True)
class Line:
    """One bot of an incident. Addresses are paths on this site; empty where there is nothing to go to."""

    row: IncidentBot
    bot_url: str
    job_url: str
    #: Empty unless somebody holds the job now.
    release_url: str


def bots_in(rows: QuerySet[IncidentBot], most: int) -> list[Line]:
    """The first so many of these bots, in the order in which they joined. Two queries."""
    listed = list(rows.order_by("pk")[:most])
    jobs = {row.job_id for row in listed if row.job_id is not None}
    there = set(Job.objects.filter(pk__in=jobs).values_list("pk", flat=True)) if jobs else set()
    held = set(Job.objects.held().filter(pk__in=jobs).values_list("pk", flat=True)) if jobs else set()
    return [
        Line(
            row,
            reverse("admin:bots_bot_change", args=[row.bot_id]) if row.bot_id else "",
            reverse("admin:jobs_job_change", args=[row.job_id]) if row.job_id in there else "",
            reverse("admin:jobs_job_release", args=[row.job_id]) if row.job_id in held else "",
        )
        for row in listed
    ]
