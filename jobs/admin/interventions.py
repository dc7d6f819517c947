"""What an operator can do to jobs: one table of verbs, one confirmation page, one way to carry them out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from bots.admin import many
from jobs import lifecycle
from jobs.lifecycle import By, Change
from jobs.models import REASON_LENGTH, Job, JobEvent
from jobs.states import CANCELLABLE, HELD, RETRYABLE, JobStatus, Verb

#: How many jobs one transaction takes, so that a large selection never locks for long.
BATCH = 500
#: How many jobs the confirmation page names.
NAMED = 100


@dataclass(frozen=True)
class Intervention:
    """One verb as the admin offers it. `left` says why a job was left alone, after its number."""

    name: str
    verb: Callable[..., list[Change]]
    statuses: Sequence[JobStatus]
    done: str
    left_one: str
    left_many: str
    effect: str
    forbidden: str

    @property
    def permission(self) -> str:
        return f"jobs.{self.name}_job"

    @property
    def label(self) -> str:
        return "Accept late result" if self.name == "accept" else self.name.capitalize()

    def allowed(self, user: Any) -> bool:
        """Whether this user may do it at all."""
        return bool(user.has_perm(self.permission))

    def applies(self, jobs: QuerySet[Job]) -> QuerySet[Job]:
        """Those of these jobs to which it can be done now."""
        jobs = jobs.filter(status__in=self.statuses)
        if self.name == "accept":
            late = JobEvent.objects.filter(job=OuterRef("pk"), verb=Verb.LATE, detail__outcome="complete")
            jobs = jobs.filter(Exists(late))
        return jobs

    def message(self, done: int, left: int) -> str:
        """What happened, in a sentence or two: `Released 4 jobs. 2 were no longer held and were left alone.`"""
        said = f"{self.done} {many(done, 'job')}."
        if left:
            said += f" {left} {self.left_one if left == 1 else self.left_many}."
        return said


INTERVENTIONS = {
    i.name: i
    for i in (
        Intervention(
            "release", lifecycle.release, HELD, "Released",
            "was no longer held and was left alone", "were no longer held and were left alone",
            "Each job goes back to pending at once and any bot can claim it. The attempt is not counted. "
            "A bot that comes back with a result is refused, and the result is kept.",
            "nobody holds it",
        ),
        Intervention(
            "retry", lifecycle.retry, RETRYABLE, "Sent back",
            "was not failed or cancelled and was left alone", "were not failed or cancelled and were left alone",
            "Each job goes back to pending with all its attempts before it.",
            "only a failed or cancelled job can be retried",
        ),
        Intervention(
            "cancel", lifecycle.cancel, CANCELLABLE, "Cancelled",
            "had ended already and was left alone", "had ended already and were left alone",
            "Each job ends. A bot that works on one learns so at its next heartbeat or report.",
            "it has ended already",
        ),
        Intervention(
            "accept", lifecycle.accept, (JobStatus.PENDING,), "Accepted the late results of",
            "had no late result or was not pending and was left alone",
            "had no late result or were not pending and were left alone",
            "Each job takes the result that came after its lease had ended, and so is not done twice.",
            "it is not pending with a late result",
        ),
    )
}  # fmt: skip


def carry_out(
    page: admin.ModelAdmin, request: HttpRequest, intervention: Intervention, ids: Sequence[int]
) -> tuple[int, int]:
    """Do it to these jobs in batches, with the reason from the form; write the admin's log. Returns (done, left)."""
    if not intervention.allowed(request.user):
        raise PermissionDenied
    reason = request.POST.get("reason", "").replace("\0", "").strip()[:REASON_LENGTH]
    by = By.operator(request.user)  # type: ignore[arg-type]
    done = 0
    for start in range(0, len(ids), BATCH):
        changes = intervention.verb(ids[start : start + BATCH], by=by, reason=reason)
        done += len(changes)
        for job in Job.objects.filter(pk__in=[change.id for change in changes]):
            page.log_change(request, job, f"{intervention.done}{': ' + reason if reason else ''}.")
    left = len(ids) - done
    page.message_user(request, intervention.message(done, left), messages.SUCCESS if done else messages.WARNING)
    return done, left


def confirmation(
    page: admin.ModelAdmin, request: HttpRequest, intervention: Intervention, jobs: QuerySet[Job], back: str
) -> HttpResponse:
    """The page that says exactly what will happen to which jobs, and asks for a reason."""
    if not intervention.allowed(request.user):
        raise PermissionDenied
    jobs = jobs.select_related("claimed_by").order_by("pk")
    applies = intervention.applies(jobs)
    doing, total = applies.count(), jobs.count()
    left = jobs.exclude(pk__in=applies.order_by().values("pk"))
    context = page.admin_site.each_context(request) | {
        "title": f"{intervention.label}: {many(doing, 'job')}?",
        "intervention": intervention,
        "jobs": applies[:NAMED],
        "more": max(0, doing - NAMED),
        "left": left[:NAMED],
        "left_count": total - doing,
        "doing": doing,
        "opts": page.opts,
        "back": back,
        "reason_length": REASON_LENGTH,
        "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
        "action": request.POST.get("action", ""),
        "across": request.POST.get("select_across", "0"),
    }
    return TemplateResponse(request, "admin/jobs/job/confirm.html", context)
