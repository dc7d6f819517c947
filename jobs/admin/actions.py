"""What an operator can do to jobs: one table of verbs, one confirmation page, one way to carry them out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from jobs import lifecycle
from jobs.lifecycle import By, Change
from jobs.models import PRIORITY_LIMIT, REASON_LENGTH, Job, JobEvent
from jobs.states import JobStatus, Verb
from jobs.stats.counts import Count
from jobs.transitions import OPERATIONS, Operation
from jobsite.lib.admin import count_of

#: How many jobs one transaction takes, so that a large selection never locks for long.
BATCH = 500
#: How many jobs the confirmation page names.
NAMED = 50


@dataclass(frozen=True)
class Intervention:
    """One operation as the admin offers it. `left_one` and `left_many` say why jobs were left alone, after how many."""

    operation: Operation
    verb: Callable[..., list[Change]]
    left_one: str
    left_many: str
    effect: str

    @property
    def name(self) -> str:
        return str(self.operation.verb)

    @property
    def label(self) -> str:
        return self.operation.label

    @property
    def statuses(self) -> Sequence[JobStatus]:
        return self.operation.sources

    @property
    def done(self) -> str:
        """What was done, at the start of a sentence: `Released`."""
        return self.operation.done[:1].upper() + self.operation.done[1:]

    @property
    def asks_priority(self) -> bool:
        """Whether the form must say which priority."""
        return self.operation.verb == Verb.PRIORITISE

    def allowed(self, user: Any) -> bool:
        """Whether this user may do it at all."""
        return bool(user.has_perm(self.operation.permission))

    def applies(self, jobs: QuerySet[Job]) -> QuerySet[Job]:
        """Those of these jobs to which it can be done now."""
        jobs = jobs.filter(status__in=self.statuses)
        if self.operation.verb == Verb.ACCEPT:
            late = JobEvent.objects.filter(job=OuterRef("pk"), verb=Verb.LATE, detail__outcome="complete")
            jobs = jobs.filter(Exists(late))
        return jobs

    def message(self, done: int, left: int) -> str:
        """What happened, in a sentence or two: `Released 4 jobs. 2 were no longer held and were left alone.`"""
        said = f"{self.done} {count_of(done, 'job')}."
        if left:
            said += f" {left} {self.left_one if left == 1 else self.left_many}."
        return said


INTERVENTIONS = {
    i.name: i
    for i in (
        Intervention(
            OPERATIONS[Verb.RELEASE], lifecycle.release,
            "was no longer held and was left alone", "were no longer held and were left alone",
            "Each job goes back to pending at once and any bot can claim it. The attempt is not counted. "
            "A bot that comes back with a result is refused, and the result is kept.",
        ),
        Intervention(
            OPERATIONS[Verb.RETRY], lifecycle.retry,
            "was not failed or cancelled and was left alone", "were not failed or cancelled and were left alone",
            "Each job goes back to pending with all its attempts before it.",
        ),
        Intervention(
            OPERATIONS[Verb.CANCEL], lifecycle.cancel,
            "had ended already and was left alone", "had ended already and were left alone",
            "Each job ends. A bot that works on one learns so at its next heartbeat or report.",
        ),
        Intervention(
            OPERATIONS[Verb.PRIORITISE], lifecycle.prioritise,
            "had ended or had that priority already and was left alone",
            "had ended or had that priority already and were left alone",
            "Each job gets the priority you give: higher goes first. A job that a bot holds keeps its bot, and has the "
            "new priority if it goes back to pending.",
        ),
        Intervention(
            OPERATIONS[Verb.ACCEPT], lifecycle.accept,
            "had no late result or was not pending and was left alone",
            "had no late result or were not pending and were left alone",
            "Each job takes the result that came after its lease had ended, and so is not done twice.",
        ),
    )
}  # fmt: skip


def asked(request: HttpRequest, intervention: Intervention) -> tuple[dict[str, Any], str]:
    """What the form gives for the verb, and what is wrong with it; empty when it may be carried out."""
    reason = request.POST.get("reason", "").replace("\0", "").strip()[:REASON_LENGTH]
    given: dict[str, Any] = {"reason": reason}
    if intervention.asks_priority:
        try:
            given["priority"] = int(request.POST.get("priority", ""))
        except ValueError:
            return given, "Priority: give a whole number; higher goes first."
        if abs(given["priority"]) > PRIORITY_LIMIT:
            return given, f"Priority: give a number from -{PRIORITY_LIMIT} to {PRIORITY_LIMIT}."
    return given, ""


def act(request: HttpRequest, intervention: Intervention, ids: Sequence[int], given: dict[str, Any]) -> int:
    """Do it to these jobs in batches, and write the admin's log. Returns how many were changed."""
    if not intervention.allowed(request.user):
        raise PermissionDenied
    by = By.operator(request.user)  # type: ignore[arg-type]
    done = 0
    reason = given["reason"]
    for start in range(0, len(ids), BATCH):
        changes = intervention.verb(ids[start : start + BATCH], by=by, **given)
        done += len(changes)
        changed = Job.objects.filter(pk__in=[change.id for change in changes]).only("kind")
        said = f"{intervention.done}{': ' + reason if reason else ''}."
        LogEntry.objects.log_actions(request.user.pk or 0, changed, CHANGE, said)
    return done


def carry_out(
    page: admin.ModelAdmin, request: HttpRequest, intervention: Intervention, ids: Sequence[int], given: dict[str, Any]
) -> tuple[int, int]:
    """Do it to these jobs and say what happened. Returns (done, left)."""
    done = act(request, intervention, ids, given)
    left = len(ids) - done
    page.message_user(request, intervention.message(done, left), messages.SUCCESS if done else messages.WARNING)
    return done, left


def confirmation(
    page: admin.ModelAdmin,
    request: HttpRequest,
    intervention: Intervention,
    jobs: QuerySet[Job],
    back: str,
    *,
    matching: Count | None = None,
    fault: str = "",
) -> HttpResponse:
    """The page that says exactly what will happen to which jobs, and asks for a reason.

    `matching`: all that match a question are meant, which are so many; then the newest are named and none is counted.
    """
    if not intervention.allowed(request.user):
        raise PermissionDenied
    jobs = jobs.select_related("claimed_by").defer("payload", "result", "error").order_by("-pk")
    applies = intervention.applies(jobs)
    context = page.admin_site.each_context(request) | {
        "intervention": intervention,
        "opts": page.opts,
        "back": back,
        "fault": fault,
        "reason_length": REASON_LENGTH,
        "priority_limit": PRIORITY_LIMIT,
        "given": request.POST if fault else {},
        "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
        "action": request.POST.get("action", ""),
        "across": request.POST.get("select_across", "0"),
        "jobs": list(applies[:NAMED]),
        "matching": matching,
    }
    if matching is None:
        doing, total = applies.count(), jobs.count()
        left = jobs.exclude(pk__in=applies.order_by().values("pk"))
        context |= {
            "title": f"{intervention.label}: {count_of(doing, 'job')}?",
            "more": max(0, doing - NAMED),
            "left": left[:NAMED],
            "left_count": total - doing,
            "left_more": max(0, total - doing - NAMED),
            "doing": doing,
        }
    else:
        context |= {"title": f"{intervention.label}: all that match?", "doing": len(context["jobs"])}
    return TemplateResponse(request, "admin/jobs/job/confirm.html", context)
