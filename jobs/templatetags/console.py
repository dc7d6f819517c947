"""What the admin's pages ask for: what needs an operator now, and how states and ages are shown."""

from typing import Any

from django import template
from django.contrib.auth.models import User

from bots import shown
from bots.health import grade
from bots.models import Bot
from jobs import lifecycle
from jobs.models import Job

register = template.Library()

badge = register.filter("badge", shown.badge)
age = register.filter("age", shown.age)

#: How many stuck jobs and bots Home names; the lists behind it have them all.
NAMED = 20


@register.simple_tag
def needs_me(user: User) -> dict[str, Any]:
    """What needs an operator now: leases past a limit with their evidence, and bots that are unwell."""
    if not (user.has_perm("jobs.view_job") and user.has_perm("bots.view_bot")):
        return {"allowed": False}
    jobs = list(Job.objects.stuck().select_related("claimed_by").order_by("heartbeat_at")[: NAMED + 1])
    watched = lifecycle.watched(Job.objects.filter(pk__in=[job.pk for job in jobs]))
    reasons = {watch.lease.job_id: grade(watch.lease, watch.limits).reason for watch in watched}
    return {
        "allowed": True,
        "jobs": [(job, reasons.get(job.pk, "")) for job in jobs[:NAMED]],
        "more": len(jobs) > NAMED,
        "bots": list(Bot.objects.stuck().order_by("name")[:NAMED]),
        "down": Bot.objects.filter(status="down").count(),
        "may_release": user.has_perm("jobs.release_job"),
    }
