"""Operators' actions on jobs: the table of verbs, the confirmation page, and running them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html

from bots import audit
from jobs import lifecycle
from jobs.admin import take_back
from jobs.bounds import PRIORITY_LIMIT, REASON_LENGTH
from jobs.lifecycle import By, Change
from jobs.models import Job, JobEvent
from jobs.states import JobStatus, Verb
from jobs.stats.counts import Count
from jobs.transitions import OPERATIONS, Operation
from jobsite.lib import outcomes, unfinished
from jobsite.lib.admin import count_of

#: Jobs in one transaction, so that a large selection never holds locks for long.
BATCH_SIZE = 500
#: The most jobs listed on the confirmation page.
JOBS_LISTED = 50


@dataclass(frozen=True)
class Intervention:
    """One operation as the admin offers it. `left_one`, `left_many`: why jobs were skipped, after their number."""

    operation: Operation
    verb: Callable[..., list[Change]]
    left_one: str
    left_many: str
    effect: str
    #: Reasons that are offered. Others can be typed.
    reasons: Sequence[str] = ()

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
        """Whether the form asks for a priority."""
        return self.operation.verb == Verb.PRIORITISE

    def allowed(self, user: Any) -> bool:
        """Whether this user has the permission."""
        return bool(user.has_perm(self.operation.permission))

    @property
    def asks_to_another(self) -> bool:
        """Whether the form asks if the jobs are to go to other bots."""
        return self.operation.verb == Verb.RELEASE

    @property
    def takes_keys(self) -> bool:
        """Whether jobs may take their keys again: of several with the same key only the newest is changed."""
        return self.operation.verb == Verb.RETRY

    def applies(self, jobs: QuerySet[Job]) -> QuerySet[Job]:
        """Those of these jobs to which it applies now."""
        jobs = jobs.filter(status__in=self.statuses)
        if self.operation.verb == Verb.ACCEPT:
            late = JobEvent.objects.filter(job=OuterRef("pk"), verb=Verb.LATE, detail__outcome="complete")
            jobs = jobs.filter(Exists(late))
        return jobs

    def message(self, done: int, left: int, keys_taken: int = 0) -> str:
        """Word the outcome: `Released 4 jobs. 2 were no longer held and were left alone.`"""
        text = f"{self.done} {count_of(done, 'job')}."
        if keys_taken:
            text += f" {keys_taken} {'was' if keys_taken == 1 else 'were'} left out: another job has the same key."
        if left:
            text += f" {left} {self.left_one if left == 1 else self.left_many}."
        return text


INTERVENTIONS = {
    i.name: i
    for i in (
        Intervention(
            OPERATIONS[Verb.RELEASE], lifecycle.release,
            "was no longer held and was left alone", "were no longer held and were left alone",
            "Each job goes back to pending at once and any bot can claim it. The attempt is not counted. "
            "A bot that comes back with a result is refused, and the result is kept.",
            ("The bot hangs", "The bot's machine is gone", "The job makes no progress"),
        ),
        Intervention(
            OPERATIONS[Verb.RETRY], lifecycle.retry,
            "was not failed or cancelled and was left alone", "were not failed or cancelled and were left alone",
            "Each job goes back to pending with all its attempts before it. Of several that take the same key again "
            "only the newest does, and none whose key another job has.",
            ("The cause is fixed", "It failed by chance", "A new version is deployed"),
        ),
        Intervention(
            OPERATIONS[Verb.CANCEL], lifecycle.cancel,
            "had ended already and was left alone", "had ended already and were left alone",
            "Each job ends. A bot that works on one learns so at its next heartbeat or report.",
            ("Not needed any more", "Enqueued by mistake", "It can never succeed"),
        ),
        Intervention(
            OPERATIONS[Verb.PRIORITISE], lifecycle.prioritise,
            "had ended or had that priority already and was left alone",
            "had ended or had that priority already and were left alone",
            "Each job gets the priority you give: higher goes first. A job that a bot holds keeps its bot, and has the "
            "new priority if it goes back to pending.",
            ("It is urgent", "It can wait"),
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
    """Read the verb's arguments from the form. Returns them and an error, which is empty if they are valid."""
    reason = request.POST.get("reason", "").replace("\0", "").strip()[:REASON_LENGTH]
    given: dict[str, Any] = {"reason": reason}
    if intervention.asks_to_another and request.POST.get("to_another"):
        given["to_another"] = True
    if intervention.asks_priority:
        try:
            given["priority"] = int(request.POST.get("priority", ""))
        except ValueError:
            return given, "Priority: give a whole number; higher goes first."
        if abs(given["priority"]) > PRIORITY_LIMIT:
            return given, f"Priority: give a number from -{PRIORITY_LIMIT} to {PRIORITY_LIMIT}."
    return given, ""


def act(
    request: HttpRequest, intervention: Intervention, ids: Sequence[int], given: dict[str, Any], number: int = 0
) -> tuple[int, int]:
    """Run it on these jobs in batches, each with an entry in the audit log.

    `number`: that of the act that this is a step of. Returns how many were changed, and how many were left out since
    another job has their key.
    """
    if not intervention.allowed(request.user):
        raise PermissionDenied
    if len(ids) > BATCH_SIZE:
        number = number or audit.reserve()
    by = By.operator(replace(audit.caller(request), act=number or None))
    done = 0
    # The newest first, of which each takes its key from the others.
    ids = sorted(ids, reverse=intervention.takes_keys)
    for start in range(0, len(ids), BATCH_SIZE):
        try:
            done += len(intervention.verb(ids[start : start + BATCH_SIZE], by=by, **given))
        except outcomes.ERRORS as error:
            if not done:
                raise
            # Without its cause, so that nobody takes it for a call of which nothing was done.
            raise OperationalError(f"{done} jobs were changed before this: {error}") from None
    if not intervention.takes_keys or done == len(ids):
        return done, 0
    return done, intervention.applies(Job.objects.filter(pk__in=ids)).count()


def carry_out(
    page: admin.ModelAdmin, request: HttpRequest, intervention: Intervention, ids: Sequence[int], given: dict[str, Any]
) -> tuple[int, int]:
    """Run it on these jobs and show the outcome. Returns (changed, skipped)."""
    done, taken = act(request, intervention, ids, given)
    left = len(ids) - done - taken
    text = intervention.message(done, left, taken)
    if done:
        text = format_html("{}{}", text, take_back.offered(request, intervention.name))
    page.message_user(request, text, messages.SUCCESS if done else messages.WARNING)
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
    selected: Sequence[int] = (),
) -> HttpResponse:
    """Show the confirmation page: the effect, the affected jobs, and the field for a reason.

    `selected`: the jobs that are meant, if the page was not asked for with them.
    `matching`: the number of all matching jobs, if they are meant. The page then lists the newest and counts none.
    """
    if not intervention.allowed(request.user):
        raise PermissionDenied
    jobs = jobs.select_related("claimed_by").defer("payload", "result", "error").order_by("-pk")
    # One statement: jobs end while this is read, and all figures of the page are about the same moment.
    able = Exists(intervention.applies(Job.objects.filter(pk=OuterRef("pk"))))
    asked_for = jobs if matching is None else intervention.applies(jobs)[:JOBS_LISTED]
    read = list(asked_for.annotate(able=able).values_list("pk", "able"))
    doing, left = ([pk for pk, is_able in read if is_able == wanted] for wanted in (True, False))
    listed = list(jobs.filter(pk__in=doing[:JOBS_LISTED]))
    context = page.admin_site.each_context(request) | {
        "intervention": intervention,
        "opts": page.opts,
        "back": back,
        "fault": fault,
        "reason_length": REASON_LENGTH,
        "priority_limit": PRIORITY_LIMIT,
        "given": unfinished.form(request) or request.POST,
        "selected": selected or request.POST.getlist(ACTION_CHECKBOX_NAME),
        "action": request.POST.get("action", ""),
        "across": request.POST.get("select_across", "0"),
        "jobs": listed,
        "evidence": _evidence(listed),
        "matching": matching,
        "doing": len(doing),
        "title": f"{intervention.label}: {'all that match' if matching else count_of(len(doing), 'job')}?",
    }
    if matching is None:
        context |= {
            "more": max(0, len(doing) - JOBS_LISTED),
            "left": jobs.filter(pk__in=left[:JOBS_LISTED]),
            "left_count": len(left),
            "left_more": max(0, len(left) - JOBS_LISTED),
        }
    return TemplateResponse(request, "admin/jobs/job/confirm.html", context)


def _evidence(jobs: Sequence[Job]) -> dict[int, str]:
    """How far those of these jobs that a bot holds are past a limit of theirs."""
    held = [job.pk for job in jobs if job.claimed_by_id]
    checks = lifecycle.check_leases(Job.objects.filter(pk__in=held)) if held else []
    return {check.lease.job_id: check.grade.reason for check in checks if check.grade.reason}
