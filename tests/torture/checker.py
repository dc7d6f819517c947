"""Compare what callers were answered with the rows. Each rule yields its violations, with the job they are about.

It knows the promises of the docs and asks nothing of the server's code. What is not known (no answer, 500,
`outcome_unknown`, or from a future that a restore has undone) may have happened or not, and never in part.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Any

from tests.torture.journal import Facts, Given, Journal, Lease, Outcome, Report
from tests.torture.rows import EPOCH, HELD, Busy, Rows, ends_a_lease

DONE, REFUSED, UNKNOWN = Outcome.DONE, Outcome.REFUSED, Outcome.UNKNOWN
#: How each report of its own looks in the history: the verb of the event.
EVENT_OF = {"fail": "fail", "release": "release"}


@dataclass(frozen=True)
class Violation:
    """A broken promise. `job`: whose story explains it."""

    rule: str
    text: str
    job: int | None = None


@dataclass(frozen=True)
class Evidence:
    """All that the rules may look at."""

    journal: Journal
    facts: Facts
    rows: Rows
    #: The user whose key people have, as events name it.
    operator: str = ""


Rule = Callable[[Evidence], Iterator[Violation]]


def acknowledged_jobs_are_there(e: Evidence) -> Iterator[Violation]:
    """No acknowledged job is lost, and each has the payload that was sent."""
    for added in e.facts.added:
        for asked, job in zip(added.asked, added.ids, strict=False) if added.outcome is DONE else ():
            row = e.rows.jobs.get(job)
            if row is None or row.payload != asked["payload"] or row.kind != asked["kind"]:
                found = "no such row" if row is None else f"the row has {row.kind} {row.payload}"
                text = f"{asked['kind']} {asked['payload']} was acknowledged as job {job}: {found}"
                yield Violation("lost job", text, job)


def jobs_are_there_as_often_as_asked(e: Evidence) -> Iterator[Violation]:
    """A call with jobs is carried out whole or not at all, a refused one not at all, a repeat with keys once."""
    calls = defaultdict(list)
    for added in e.facts.added:
        calls[added.op].append(added)
    there: dict[str, list[int]] = defaultdict(list)
    for row in e.rows.jobs.values():
        there[str(row.payload.get("op"))].append(row.id)
    for op, ids in there.items():
        if op not in calls:
            yield Violation(
                "job nobody asked for", f"jobs {ids[:5]} have the payload of {op}, which no call has", ids[0]
            )
    for op, repeats in calls.items():
        size, n, outcomes = len(repeats[0].asked), len(there[op]), Counter(one.outcome for one in repeats)
        once = "key" in repeats[0].asked[0]
        least = size * (min(1, outcomes[DONE]) if once else outcomes[DONE])
        most = size if once and least + outcomes[UNKNOWN] else size * (outcomes[DONE] + outcomes[UNKNOWN])
        if not least <= n <= most or n % size:
            text = f"{op} asked for {size} jobs in {len(repeats)} calls ({_words(outcomes)}), and {n} are there"
            rule = (
                "refused write changed something" if not outcomes[DONE] + outcomes[UNKNOWN] else "jobs not all or none"
            )
            yield Violation(rule, text, next(iter(there[op]), None))


def no_lease_is_given_twice(e: Evidence) -> Iterator[Violation]:
    """One answer gives each lease, and no earlier lease of the job is accepted after it."""
    first: dict[Lease, Given] = {}
    for given in e.facts.given:
        other = first.setdefault((given.job, given.attempt), given)
        if other.call is not given.call:
            text = f"attempt {given.attempt} of job {given.job} was given to {other.bot} and again to {given.bot}"
            yield Violation("two valid leases", text, given.job)
    # What was accepted of an older lease, first reported after the newer one had been given.
    newer = defaultdict(list)
    for given in e.facts.given:
        if e.journal.kept(given.call) is DONE:
            newer[given.job].append((given.attempt, given.call.ended))
    for (job, attempt, verb, bot), reports in e.facts.reports.items():
        since = min((ended for other, ended in newer[job] if other > attempt), default=None)
        if since is None or verb == "start":
            continue
        began = [one.call.began for one in reports if one.outcome is not REFUSED]
        late = [one for one in reports if one.outcome is DONE and one.call.began > since]
        if late and (verb == "heartbeat" or min(began) > since):
            text = f"{verb} of attempt {attempt} by {bot} was accepted after a newer lease of job {job} had been given"
            yield Violation("two valid leases", text, job)


def only_holders_are_heard(e: Evidence) -> Iterator[Violation]:
    """What is accepted is of a lease that this bot was given, or may have been given by an answer that was lost."""
    held = {(given.job, given.attempt, given.bot) for given in e.facts.given}
    for (job, attempt, verb, bot), reports in e.facts.reports.items():
        accepted = any(one.call.outcome is DONE and one.outcome is not REFUSED for one in reports)
        if accepted and (job, attempt, bot) not in held and bot not in e.facts.unanswered:
            text = f"{verb} of attempt {attempt} of job {job} by {bot} was accepted, and it never had that lease"
            yield Violation("accepted from another", text, job)


def attempts_only_grow(e: Evidence) -> Iterator[Violation]:
    """In answers one after the other, in the history, and up to the row; each lease has one end."""
    seen: dict[int, tuple[float, int]] = {}
    for given in sorted(e.facts.given, key=lambda given: given.call.ended):
        ended, attempt = seen.get(given.job, (0.0, 0))
        if given.call.began > ended and given.attempt <= attempt:
            yield Violation(
                "attempt not higher", f"job {given.job}: attempt {given.attempt} after {attempt}", given.job
            )
        if given.attempt > attempt:
            seen[given.job] = (given.call.ended, given.attempt)
        row = e.rows.jobs.get(given.job)
        if e.journal.kept(given.call) is DONE and row is not None and row.attempt < given.attempt:
            text = f"job {given.job}: attempt {given.attempt} was given, and the row has {row.attempt}"
            yield Violation("attempt not higher", text, given.job)
    for row in e.rows.jobs.values():
        ends = [event.attempt for event in e.rows.events[row.id] if ends_a_lease(event)]
        if ends != sorted(set(ends)) or (ends and ends[-1] > row.attempt):
            yield Violation(
                "attempt not higher", f"job {row.id} is at {row.attempt}, its leases ended as {ends}", row.id
            )


def each_lease_ends_once(e: Evidence) -> Iterator[Violation]:
    """A job has as many leases as attempts: those that ended, and the one it has or succeeded with."""
    for row in e.rows.jobs.values():
        ended = sum(ends_a_lease(event) for event in e.rows.events[row.id])
        now = row.status in HELD or (row.status == "succeeded" and not e.rows.history(row.id, verb="accept"))
        if row.attempt % EPOCH != ended + now:
            text = f"job {row.id} is {row.status} at attempt {row.attempt}, and {ended} of its leases ended"
            yield Violation("leases and attempts differ", text, row.id)


def accepted_ends_stand(e: Evidence) -> Iterator[Violation]:
    """A success that was accepted is the row; any other end that was accepted is in the history, once."""
    for (job, attempt, verb, bot), reports in e.facts.reports.items():
        if not any(one.outcome is DONE for one in reports):
            continue
        row = e.rows.jobs.get(job)
        if verb == "complete":
            first = next(i for i, one in enumerate(reports) if one.outcome is DONE)
            results = [one.body.get("result") for one in reports[: first + 1] if one.outcome is not REFUSED]
            if row is None or row.status != "succeeded" or row.attempt != attempt or row.result not in results:
                text = f"{bot} completed attempt {attempt} of job {job} with {results[-1]}, and the row is {_of(row)}"
                yield Violation("accepted end undone", text, job)
        elif (
            verb in EVENT_OF
            and len(e.rows.history(job, attempt=attempt, verb=EVENT_OF[verb], bot=bot, actor="bot")) != 1
        ):
            text = f"the {verb} of attempt {attempt} of job {job} by {bot} was accepted, and is not once in the history"
            yield Violation("accepted end undone", text, job)
        elif verb == "fail" and (last := _last(e.rows, job)).attempt == attempt and last.verb == "fail":
            # Nothing has happened to the job since, but that it may have been claimed again.
            final = last.to_status == "failed" or not any(one.body.get("retry", True) for one in reports)
            if row is None or row.status not in (["failed"] if final else ["pending", *HELD, "succeeded"]):
                text = f"attempt {attempt} of job {job} ended as {last.to_status}, and the row is {_of(row)}"
                yield Violation("accepted end undone", text, job)
    for job, bot, call in e.facts.released:
        if not e.rows.history(job, verb="release", bot=bot):
            yield Violation("accepted end undone", f"{call.verb} of {bot} released job {job}: not in the history", job)


def refused_reports_change_nothing(e: Evidence) -> Iterator[Violation]:
    """What was refused each time it was reported did not happen."""
    for (job, attempt, verb, bot), reports in e.facts.reports.items():
        outcomes = {one.outcome for one in reports}
        row = e.rows.jobs.get(job)
        if outcomes != {REFUSED}:
            known = [one for one in reports if one.outcome is not UNKNOWN]
            if (
                {one.outcome for one in known} == {DONE, REFUSED}
                and verb in ("complete", "fail")
                and _lost_then_done(known)
            ):
                yield Violation("accepted after refused", f"{verb} of attempt {attempt} of job {job} by {bot}", job)
        elif verb == "complete" and row is not None and row.status == "succeeded":
            if row.attempt == attempt and row.finished_by == bot:
                text = f"complete of attempt {attempt} of job {job} by {bot} was refused, and it stands"
                yield Violation("refused write changed something", text, job)
        elif verb == "fail" and e.rows.history(job, attempt=attempt, verb="fail", bot=bot, actor="bot"):
            text = f"fail of attempt {attempt} of job {job} by {bot} was refused, and it is in the history"
            yield Violation("refused write changed something", text, job)


def people_act_as_often_as_they_were_answered(e: Evidence) -> Iterator[Violation]:
    """Each act that was answered as done is one event; a refused one is none."""
    for (job, verb), reports in e.facts.acts.items():
        outcomes = Counter(one.outcome for one in reports)
        n = len(e.rows.history(job, verb=verb, actor="operator", by=e.operator))
        most = inf if verb == "release" and e.facts.restarts_unknown else outcomes[DONE] + outcomes[UNKNOWN]
        if not outcomes[DONE] <= n <= most:
            text = f"{verb} of job {job}: {_words(outcomes)}, and {n} are in the history"
            yield Violation("refused write changed something" if n > outcomes[DONE] else "accepted act lost", text, job)


def answers_are_those_of_the_docs(e: Evidence) -> Iterator[Violation]:
    """No fault of the server reaches a caller as 500, and each report of an exchange is answered."""
    for call in e.journal.calls:
        if call.status >= 500 and call.status != 503:
            yield Violation("answer 500", f"{call.who} got {call.status} for {call.path}: {str(call.answer)[:200]}")
    for (job, attempt, verb, bot), reports in e.facts.reports.items():
        if any(one.code == "neither accepted nor rejected" for one in reports):
            yield Violation("report not answered", f"{verb} of attempt {attempt} of job {job} by {bot}", job)


RULES: tuple[Rule, ...] = (
    acknowledged_jobs_are_there, jobs_are_there_as_often_as_asked, no_lease_is_given_twice, only_holders_are_heard,
    attempts_only_grow, each_lease_ends_once, accepted_ends_stand, refused_reports_change_nothing,
    people_act_as_often_as_they_were_answered, answers_are_those_of_the_docs,
)  # fmt: skip


def check(evidence: Evidence) -> list[Violation]:
    """All violations of all rules."""
    return [violation for rule in RULES for violation in rule(evidence)]


def as_busy_as_they_are(found: list[Busy]) -> list[Violation]:
    """A bot is busy if and only if it holds something, whenever one looks."""
    return [Violation("status not as held", f"{name} is {status} and holds {holds}") for name, status, holds in found]


def _lost_then_done(known: list[Report]) -> bool:
    """Whether a report was refused for good, and accepted when it was sent again later."""
    refused = [one.call.ended for one in known if one.outcome is REFUSED and one.code in ("lease_lost", "not_found")]
    return any(one.call.began > ended for ended in refused for one in known if one.outcome is DONE)


def _last(rows: Rows, job: int) -> Any:
    """The last event that is about the job and not about a report that came late."""
    return [event for event in rows.events[job] if event.verb != "late"][-1]


def _of(row: object) -> str:
    return "gone" if row is None else f"{row.status}, attempt {row.attempt}, result {row.result}"  # type: ignore[attr-defined]


def _words(outcomes: Counter[Outcome]) -> str:
    return ", ".join(f"{n} {outcome}" for outcome, n in outcomes.items())
