"""The rules for bots, and those that are checked in each scenario by the calls that were made. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from .calls import Call, Report
from .queue import Job, Queue

RULES = {
    "token-sent": "Send `Authorization: Bearer` and the token with each call.",
    "hello-first": "Call `hello` before anything else, with an instance ID that no process has used before.",
    "instance-sent": "Send the instance ID of `hello` as `Bot-Instance` with each later call.",
    "valid-calls": "Send only calls that the server understands.",
    "new-fields": "Ignore fields of answers that you do not know, and go on.",
    "attempt-sent": "Name in each report the attempt that the claim gave.",
    "once-a-lease": "Work on each lease once.",
    "every-end-reported": "Report how each job ended, with its result or error as it is.",
    "report-repeated": "Repeat a report whose answer was lost, with the same attempt.",
    "goes-on": "Go on when the server is back.",
    "retry-after": "Wait for `Retry-After` before the same call is made again.",
    "backs-off": "Wait longer after each try that fails.",
    "no-hammering": "Make at most 10 calls of one sort in a second.",
    "lease-renewed": "Renew each lease before its time is over, by the server's clock.",
    "stops-when-lost": "Stop the work on a lease within 7 s after it was lost.",
    "silent-when-lost": "Send no heartbeat and no failure for a lease that is lost.",
    "table-by-lease": "Know jobs by `(id, attempt)`: another attempt may come while the old handler ends.",
    "holds-all": "Name in `holds` all leases that the process knows of.",
    "restart-obeyed": "On `restart: true` call `goodbye`, and end or call `hello` again.",
    "stops-when-replaced": "End the process on 409 `instance_replaced`.",
    "stops-when-refused": "End the process on 401.",
    "identity-stays": "Have the same identity when the process is started again.",
    "time-out-above-wait": "Have a client time-out that is longer than `wait`.",
    "sigterm-in-time": "End within 10 s after SIGTERM.",
    "sigterm-claims-nothing": "Claim no more after SIGTERM.",
    "sigterm-holds-nothing": "Hold nothing at the end: report jobs or hand them back, and call `goodbye`.",
    "silent-after-goodbye": "Claim and report nothing after `goodbye`.",
}
# The most calls of one sort in one second.
MOST = 10
# Seconds for a call that was under way, or for a signal to arrive.
UNDER_WAY = 1.0

Wrong = Iterator[tuple[str, str]]


def check(calls: Sequence[Call], queue: Queue) -> Wrong:
    """What of the calls breaks rules: `(rule, sentence)` each."""
    yield from _tokens(calls)
    yield from _hellos(calls)
    yield from _validity(calls)
    yield from _attempts(calls, queue)
    yield from _waits(calls)
    yield from _hammering(calls)
    yield from _after_loss(calls)
    yield from _after_goodbye(calls)


def _http(calls: Sequence[Call]) -> list[Call]:
    return [call for call in calls if call.sort != "connection"]


def _tokens(calls: Sequence[Call]) -> Wrong:
    for call in _http(calls):
        if not call.headers.get("authorization", "").startswith("Bearer jsb_"):
            yield "token-sent", f"{call.sort} was called without the header `Authorization: Bearer` and the token."
            return


def _hellos(calls: Sequence[Call]) -> Wrong:
    names: set[str] = set()
    for call in _http(calls):
        if call.sort == "hello" and isinstance(call.body, dict):
            names.add(str(call.body.get("instance")))
        elif not names:
            yield "hello-first", f"The first call was {call.sort}, and not hello."
            return
        elif call.instance not in names:
            sent = f"`Bot-Instance: {call.instance}`" if call.instance else "no header `Bot-Instance`"
            yield "instance-sent", f"{call.sort} was called with {sent}; hello named {', '.join(sorted(names))}."
            return


def _validity(calls: Sequence[Call]) -> Wrong:
    for call in _http(calls):
        if call.status in (400, 404, 405, 422) and not call.planned:
            yield "valid-calls", f"{call.sort} was refused with {call.status}: {call.answer['detail']}"


def _attempts(calls: Sequence[Call], queue: Queue) -> Wrong:
    for report in _reports(calls):
        job = queue.jobs.get(report.job)
        if job is not None and isinstance(report.attempt, int) and report.attempt not in job.given:
            given = ", ".join(map(str, job.given)) or "none"
            yield "attempt-sent", f"{_named(report)}: the attempts that claims gave of this job are {given}."


def _waits(calls: Sequence[Call]) -> Wrong:
    for place, call in enumerate(calls):
        if call.retry_after is None or call.answered_at is None:
            continue
        over = call.answered_at + call.retry_after
        again = next((one for one in calls[place + 1 :] if _again(one, call) and one.at > call.answered_at), None)
        if again is not None and again.at < over - 0.1:
            waited = again.at - call.answered_at
            what = f"{call.status} and `Retry-After: {call.retry_after:g}`"
            yield "retry-after", f"{call.sort} was answered with {what}, and called again after {waited:.1f} s."


def _again(call: Call, before: Call) -> bool:
    """Whether this is the same call again. After an answer without jobs only the next long poll has to wait."""
    polls = before.status == 200
    return call.sort == before.sort and call.instance == before.instance and (not polls or bool(_wait(call)))


def _wait(call: Call) -> Any:
    return (call.claim or {}).get("wait")


def _hammering(calls: Sequence[Call]) -> Wrong:
    starts: dict[str, list[float]] = defaultdict(list)
    for call in calls:
        if _achieves(call):
            continue
        starts[call.sort].append(call.at)
    for sort, moments in starts.items():
        if (most := _most(moments)) > MOST:
            what = "connections to a server that was down" if sort == "connection" else f"calls of {sort}"
            yield "no-hammering", f"There were {most} {what} in one second, none of which could achieve anything."


def _achieves(call: Call) -> bool:
    """Whether it had a reason: it brought jobs, or reports that were taken."""
    if call.status != 200:
        return False
    brings = call.answer.get("jobs") or call.answer.get("accepted")
    return bool(brings) or call.sort.endswith(("/complete", "/fail", "/release", "/start"))


def _most(moments: list[float]) -> int:
    """The most of these moments in any second."""
    first = most = 0
    for place, at in enumerate(moments):
        while moments[first] < at - 1.0:
            first += 1
        most = max(most, place - first + 1)
    return most


def _after_loss(calls: Sequence[Call]) -> Wrong:
    lost: dict[tuple[Any, Any], float] = {}
    for call in calls:
        if call.status is not None and call.answered_at is not None:
            for lease in call.lost_leases():
                lost.setdefault(lease, call.answered_at)
    wrong: Counter[str] = Counter()
    for report in _reports(calls):
        since = lost.get(report.lease)
        if since is not None and report.verb in ("heartbeat", "fail") and report.call.at > since + UNDER_WAY:
            wrong[f"{_named(report)} was sent after the answer that this lease is lost."] += 1
    for sentence in wrong:
        yield "silent-when-lost", sentence


def _after_goodbye(calls: Sequence[Call]) -> Wrong:
    gone: dict[str, float] = {}
    for call in calls:
        if call.sort == "goodbye" and call.status == 200 and call.answered_at is not None:
            gone[call.body["instance"]] = call.answered_at
        elif call.sort == "hello" and isinstance(call.body, dict):
            gone.pop(str(call.body.get("instance")), None)
        elif call.at > gone.get(call.instance, call.at) and (call.claim is not None or _says_more(call)):
            yield "silent-after-goodbye", f"{call.sort} was called after goodbye."
            return


def _says_more(call: Call) -> bool:
    """Whether it reports anything but that a job is handed back: a claim may be answered beside goodbye."""
    return any(report.verb != "release" for report in call.reports())


def _reports(calls: Sequence[Call]) -> Iterator[Report]:
    for call in calls:
        yield from call.reports()


def _named(report: Report) -> str:
    return f"`{report.verb}` of job {report.job}, attempt {report.attempt},"


def unfinished(job: Job, seconds: float) -> str:
    """The sentence for a job that was not finished in time."""
    if not job.given:
        return f"Nobody claimed {job} within {seconds:g} s."
    if job.held:
        return f"{job}, attempt {job.attempt}, was claimed, and its end was not reported within {seconds:g} s."
    return f"{job} is {job.status} after {seconds:g} s; it was claimed {len(job.given)} times."
