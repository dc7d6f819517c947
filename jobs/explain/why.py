"""Explain a job's status for `manage.py explain`, the job's page and `GET /jobs/{id}/explain`.

The explanation is a sentence or two, with the evidence: one line for each fact, with its values.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.utils import timezone

from bots import health
from jobs import lifecycle, payloads, transitions
from jobs.explain import bots_in_words, limits
from jobs.explain.evidence import Evidence, Explained, key, schedule
from jobs.explain.others_first import others_first
from jobs.explain.policy import run_limit
from jobs.lifecycle import LeaseCheck
from jobs.lists import takers
from jobs.models import Job, JobEvent, JobKind
from jobs.states import FINISHED, HELD, Actor, JobStatus, Verb
from jobs.stats import learned
from jobs.sweep import forecast, verdicts
from jobs.time_limits import limit_of
from jobsite.lib.badges import exact
from jobsite.lib.durations import words

#: The most of a job's last events that are read.
EVENTS_READ = 10
#: With so many successes of its kind, at least, a run time is compared.
COMPARED = 10


def explain(job: Job, user: AbstractBaseUser | AnonymousUser | None = None) -> Explained:
    """Explain the status of `job`. Select its kind, holder and finishing bot along with it.

    `user`: who reads it, and may perhaps see no errors.
    """
    events = list(job.events.select_related("bot").order_by("-id")[:EVENTS_READ])
    if user is not None:
        job, events = payloads.job_for(user, job), payloads.events_for(user, events)
    found = {**dict.fromkeys(HELD, _held), **dict.fromkeys(FINISHED, _finished)}.get(JobStatus(job.status), _pending)
    why, evidence = found(job, events)
    if job.key:
        evidence.append(key(job))
    if job.schedule:
        evidence.append(schedule(job))
    return Explained(job.pk, job.kind_id, str(job.status), why, evidence)


def _ago(moment: datetime) -> str:
    return f"{words(timezone.now() - moment)} ago ({exact(moment)})"


def _in(moment: datetime) -> str:
    """A time relative to now, and absolute."""
    ahead = moment - timezone.now()
    return f"in {words(ahead)} ({exact(moment)})" if ahead > timedelta(0) else _ago(moment)


def _at_the_latest(moment: datetime) -> str:
    return f"at the latest {_in(moment)}" if moment > timezone.now() else _ago(moment)


def _who(event: JobEvent) -> str:
    return "the sweep" if event.actor == Actor.SWEEP else event.by or str(event.bot or "its bot")


# --- Pending --------------------------------------------------------------------------------------------------


def _pending(job: Job, events: Sequence[JobEvent]) -> tuple[str, list[Evidence]]:
    bots = takers.takers(job.kind_id)
    ahead, now = takers.jobs_ahead(job), timezone.now()
    most, of = "at least " if ahead >= takers.MAX_AHEAD else "", "group" if job.group_name else "kind"
    kind = f"paused: none of the jobs of kind {job.kind_id} is handed out" if job.kind.paused else "not paused"
    due = f"since {_ago(job.due_since)}" if job.run_at <= now else _in(job.run_at)
    waits = limits.reasons(job) if job.gated or job.kind.limited else limits.shut(job.kind)
    evidence = [
        *_last(events),
        Evidence("kind", kind, {"paused": job.kind.paused}),
        Evidence("due", due, {"run_at": job.run_at}),
        *([Evidence("to be begun", _at_the_latest(job.start_by), {"start_by": job.start_by})] if job.start_by else []),
        Evidence("bots", bots_in_words.taking(bots, job.kind_id), bots),
        *(Evidence("another bot first", *found) for found in others_first(job)),
        *(Evidence("limit", reason.says, reason.figures) for reason in waits),
        Evidence("before it", f"{most}{ahead} due jobs of its {of}", {"jobs": ahead, "at_least": bool(most)}),
        _attempts(job, events),
    ]
    before = f"{most}{ahead}" if ahead else ""
    return _why_pending(job, events, bots, before, waits[0].says if waits else ""), evidence


def _why_pending(job: Job, events: Sequence[JobEvent], bots: dict[str, int], before: str, waits: str) -> str:
    answer, last = "", events[0] if events else None
    if last is not None and last.verb in transitions.REOPENING:
        answer = f"It was {transitions.past(last.verb)} by {_who(last)} {words(timezone.now() - last.at)} ago. "
    if job.start_by is not None and job.start_by <= timezone.now():
        return f"{answer}It was to be begun by {exact(job.start_by)}: no bot gets it, and it will be dropped."
    if job.kind.paused:
        return f"{answer}Kind {job.kind_id} is paused, so none of its jobs is handed out."
    if job.run_at > timezone.now():
        return f"{answer}It is not due yet: its time comes {_in(job.run_at)}."
    if waits:
        return f"{answer}It waits for a limit: {waits}."
    if not bots["all"]:
        return f"{answer}No bot takes jobs of kind {job.kind_id}."
    if not bots["ready"]:
        return f"{answer}None of the bots that take its kind can take a job now: {bots_in_words.reasons(bots)}."
    of = "group" if job.group_name else "kind"
    queue = f"Jobs of its {of} that go before it: {before}" if before else f"It is the next of its {of}"
    others = f"; others: {bots_in_words.reasons(bots)}" if bots["ready"] < bots["all"] else ""
    return f"{answer}{queue}. Bots that can take it: {bots['ready']} of {bots['all']}, idle: {bots['idle']}{others}."


# --- Held -----------------------------------------------------------------------------------------------------


def _held(job: Job, events: Sequence[JobEvent]) -> tuple[str, list[Evidence]]:
    checks = lifecycle.check_leases(Job.objects.filter(pk=job.pk))
    if not checks:
        return "It is changing hands just now; ask again.", []
    check = checks[0]
    lease, grade = check.lease, check.grade
    heard = words(lease.silent_for)
    answer = f"{job.claimed_by} has held it for {words(lease.claimed_for)}; its last heartbeat was {heard} ago."
    if grade.signal is None:
        answer = f"{answer} All is within its limits."
    else:
        answer = f"{answer} It is {str(grade.status).replace('_', ' ')}: {grade.reason}."
    plan = forecast.thresholds(job, check)
    flagged = any(event.verb == Verb.FLAG and event.attempt == job.attempt for event in events)
    done = {"wait", "flag"} if flagged else {"wait"}
    next_act = next((step for step in plan if step.does not in done), None)
    if next_act is not None:
        answer = f"{answer} {_when(next_act.at)} {next_act.who} {next_act.what}."
    return answer, _evidence_of_lease(job, events, check, plan)


def _evidence_of_lease(
    job: Job, events: Sequence[JobEvent], check: LeaseCheck, plan: Sequence[forecast.ForecastStep]
) -> list[Evidence]:
    progress = "no progress reported" if job.progress is None else f"{job.progress} %"
    return [
        Evidence(
            "held by", f"{job.claimed_by}, since {_ago(job.claimed_at)}" if job.claimed_at else str(job.claimed_by),
            {"bot": str(job.claimed_by), "bot_id": job.claimed_by_id, "claimed_at": job.claimed_at},
        ),
        Evidence(
            "started", f"{_ago(job.started_at)}" if job.started_at else "not yet", {"started_at": job.started_at}
        ),
        Evidence(
            "last heartbeat", _ago(job.heartbeat_at) if job.heartbeat_at else "none", {"heartbeat_at": job.heartbeat_at}
        ),
        Evidence(
            "progress", f"{progress}{': ' + job.progress_note if job.progress_note else ''}",
            {"progress": job.progress, "note": job.progress_note},
        ),
        _limits(job.kind, check),
        *([_usual(job.kind_id, check.usual)] if check.usual else []),
        *map(_then, plan),
        Evidence("sweep check", _in(job.deadline_at) if job.deadline_at else "never", {"at": job.deadline_at}),
        *_last(events),
        _attempts(job, events),
    ]  # fmt: skip


def _when(moment: datetime) -> str:
    ahead = moment - timezone.now()
    return f"If nothing changes, in {words(ahead)}" if ahead > timedelta(0) else "At its next run"


def _limits(kind: JobKind, check: LeaseCheck) -> Evidence:
    limits = check.limits
    run = run_limit(kind) if limits.run_within == limit_of(kind) else f"{words(limits.run_within)}, its own"
    says = f"silent after {words(limits.heartbeat_within)}, overdue after {run}"
    if check.lease.running_for is None:
        says = f"to be started within {words(limits.start_within)}; then {says}"
    seconds = {name: value.total_seconds() for name, value in asdict(limits).items()}
    return Evidence("limits", says, seconds)


def _then(step: forecast.ForecastStep) -> Evidence:
    figures = {"at": step.at, "signal": step.signal, "does": step.does, "becomes": step.becomes}
    label = "next" if step.at > timezone.now() else "passed"
    return Evidence(label, f"{_in(step.at)}, {step}", figures)


# --- Finished -------------------------------------------------------------------------------------------------


def _finished(job: Job, events: Sequence[JobEvent]) -> tuple[str, list[Evidence]]:
    evidence = [*_last(events), _ended(job, events)]
    if job.started_at and job.finished_at:
        evidence.append(_ran(job))
    if job.claimed_at:
        waited = max(job.claimed_at - job.due_since, timedelta(0))
        evidence.append(Evidence("waited", f"{words(waited)} from due to claimed", {"seconds": waited.total_seconds()}))
    if job.error.strip():
        evidence.append(Evidence("error", _short(job.error)))
    return _why_finished(job, events), [*evidence, _attempts(job, events)]


def _why_finished(job: Job, events: Sequence[JobEvent]) -> str:
    last = events[0] if events else None
    if job.status == JobStatus.SUCCEEDED:
        by = f"{job.finished_by} completed it" if job.finished_by else "It was completed"
        return f"{by} at attempt {job.attempt_number}."
    if job.status == JobStatus.CANCELLED:
        if last is not None and last.verb == Verb.DROP:
            return f"The sweep dropped it: {last.reason}."
        return f"{last.by} cancelled it{': ' + last.reason if last.reason else ''}." if last else "It was cancelled."
    used = job.attempt_number - job.uncounted
    error = _short(job.error)
    if last is not None and last.verb == Verb.EXPIRE and job.error.startswith(verdicts.HUNG):
        return f"It {error}."
    if used >= job.max_attempts:
        return f"Its attempts, {job.max_attempts}, are used up. The last ended with: {error}"
    return f"It was not to be tried again, at attempt {used} of {job.max_attempts}. It ended with: {error}"


def _short(error: str) -> str:
    return error.strip().splitlines()[-1][:200] if error.strip() else "no error was given"


def _ended(job: Job, events: Sequence[JobEvent]) -> Evidence:
    last = next((event for event in events if event.to_status == job.status), None)
    who = str(job.finished_by) if job.finished_by else _who(last) if last else "nobody known"
    held = f", held by {last.bot}" if last is not None and last.bot is not None and str(last.bot) != who else ""
    when = f" {_ago(job.finished_at)}" if job.finished_at else ""
    figures = {"by": who, "bot": str(last.bot) if last and last.bot else who, "at": job.finished_at}
    return Evidence("ended", f"{job.status} by {who}{held},{when}", figures)


def _ran(job: Job) -> Evidence:
    """Its run time compared with what is usual for its kind."""
    ran = (job.finished_at or timezone.now()) - (job.started_at or timezone.now())
    known = learned.recent_of(job.kind_id)
    says = f"for {words(ran)}" if ran >= timedelta(seconds=1) else f"for {ran.total_seconds() * 1000:.0f} ms"
    if known.usual is None:
        return Evidence("ran", says, {"seconds": ran.total_seconds()})
    quicker = known.within(ran.total_seconds())
    if known.jobs >= COMPARED:
        longer = f", longer than {quicker} of the last {known.jobs} of its kind" if quicker else ""
        says = f"{says}{longer}; {health.compared(known.usual, job.kind_id)}"
    return Evidence("ran", says, {"seconds": ran.total_seconds(), "quicker": quicker, "of": known.jobs})


# --- Common evidence -----------------------------------------------------------------------------------------


def _usual(kind: str, usual: health.Usual) -> Evidence:
    figures = {"quick": usual.quick, "of": usual.jobs, "under": usual.under.total_seconds()}
    return Evidence("usual", health.compared(usual, kind), figures)


def _last(events: Sequence[JobEvent]) -> list[Evidence]:
    if not events:
        return []
    last = events[0]
    says = f"{last.verb} by {_who(last)}, {_ago(last.at)}{': ' + last.reason if last.reason else ''}"
    figures = {"verb": last.verb, "by": _who(last), "at": last.at, "reason": last.reason}
    return [Evidence("last event", says, figures)]


def _attempts(job: Job, events: Sequence[JobEvent]) -> Evidence:
    used, bots = job.attempt_number - job.uncounted, Counter[str]()
    for event in events:
        if event.verb in transitions.ENDING and event.bot is not None:
            bots[f"{transitions.past(event.verb)} under {event.bot}"] += 1
    ends = ", ".join(f"{answer} ({n} times)" if n > 1 else answer for answer, n in bots.items())
    says = f"{used} of {job.max_attempts} used" + (f"; {job.uncounted} not counted" if job.uncounted else "")
    says += f"; deferred {job.deferrals} times" if job.deferrals else ""
    figures = {"attempt": job.attempt, "used": used, "max_attempts": job.max_attempts, "uncounted": job.uncounted}
    return Evidence("attempts", says + (f"; {ends}" if ends else ""), figures)
