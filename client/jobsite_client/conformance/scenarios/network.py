"""Answers are lost, refused or late, and the server goes away."""

from collections.abc import Iterator
from typing import Any

from ..calls import Call
from ..misbehaviour import claims, claims_by_long_poll, gives, reports
from ..queue import ECHO, FAIL, Job, Lease
from ..trial import SOON, Scenario, Trial

# Anything that JSON has and programs get wrong.
PAYLOAD: dict[str, Any] = {"text": 'ä€😀\n"', "list": [None, True, 1.5, -3, []], "object": {"": {}}, "empty": None}
# Seconds for which the server is away, and the most tries in them: from 0.1 s doubling, in two threads, there are 10.
OUTAGE = 3.0
MOST_TRIES = 20


def ordinary_work(trial: Trial) -> None:
    echo, sleep = trial.server.add(ECHO, PAYLOAD), trial.sleep_job(0.5)
    fail = trial.server.add(FAIL, {"error": "no file", "retry": False})
    for job in (echo, sleep, fail):
        # Each answer has a field that no bot knows.
        trial.wait_until_finished(job, rule="every-end-reported" if job.given else "new-fields")
    trial.expect_succeeded(echo, PAYLOAD)
    trial.expect_succeeded(sleep, {"slept": 0.5})
    failed = fail.status == "failed" and "no file" in fail.error
    words = f"{fail} should have failed with the error 'no file'. It is {fail.status} with the error {fail.error!r}."
    trial.expect(failed, "every-end-reported", words)
    words = f"{fail} was to fail with `retry: false`, and was tried {len(fail.given)} times."
    trial.expect(len(fail.given) == 1, "every-end-reported", words)


def lost_answer(trial: Trial) -> None:
    for lose, what in ((trial.server.plans.lose, "was lost"), (trial.server.plans.not_known, "was outcome_unknown")):
        plan = lose(reports("complete"))
        job = trial.server.add(ECHO, {"n": 1})
        trial.wait_until_finished(job)
        repeated = trial.wait(SOON, lambda job=job, first=plan.calls[0]: _repeated(trial, job, first))  # type: ignore[misc]
        words = f"The answer to `complete` of job {job.id}, attempt {job.attempt}, {what}."
        trial.expect(repeated, "report-repeated", f"{words} It was not sent again within {SOON:g} s.")


def _repeated(trial: Trial, job: Job, first: Call) -> bool:
    later = trial.server.calls[trial.server.calls.index(first) + 1 :]
    sent = [report for call in later for report in call.reports() if report.verb == "complete"]
    return any(report.lease == (job.id, job.attempt) and report.status == 200 for report in sent)


def lost_claim(trial: Trial) -> None:
    known = trial.sleep_job(2.0)
    trial.wait_until_begun(known)
    # A bot with a second slot gets the next job while it works on the first.
    plan = trial.server.plans.lose(gives(ECHO))
    lost = trial.server.add(ECHO, {"n": 2})
    trial.need(trial.wait(SOON, lambda: bool(plan.calls)), "goes-on", f"Nobody claimed {lost} within {SOON:g} s.")
    unknown = lost.id, lost.attempt
    # What the bot does not know of expires, if it does not call hello with what it holds.
    trial.server.do(lambda queue: setattr(lost, "deadline", trial.server.now() + 4.0))
    trial.wait_until_finished(lost, rule="goes-on", within=SOON + 4)
    trial.wait_until_finished(known)
    trial.expect_succeeded(lost, {"n": 2})
    for call, left_out in _left_out_of_holds(trial, plan.calls[0]):
        words = f"hello named {call.body['holds']} in `holds`, and not {list(left_out)}, which the bot works on."
        trial.blame("holds-all", words)
    sent = [report for call in trial.server.calls for report in call.reports() if report.lease == unknown]
    trial.expect(not sent, "attempt-sent", f"The bot reported on {list(unknown)}, which no answer has given it.")


def _left_out_of_holds(trial: Trial, since: Call) -> Iterator[tuple[Call, Lease]]:
    """Leases that a handler worked on, without a report, when a later hello with `holds` left them out."""
    calls = trial.server.calls
    for place, call in enumerate(calls):
        if call.sort != "hello" or call.at < since.at or (call.body or {}).get("holds") is None:
            continue
        ends = {r.lease for one in calls[:place] for r in one.reports() if r.verb in ("complete", "fail", "release")}
        begun = {line.lease for line in trial.work.lines if line.at < call.at}
        yield from ((call, lease) for lease in begun - ends if list(lease) not in call.body["holds"])


def busy(trial: Trial) -> None:
    refused = trial.server.plans.refuse(claims, 503, 2)
    trial.server.plans.refuse(reports("complete"), 429, 2)
    job = trial.server.add(ECHO, {"n": 3})
    trial.wait_until_finished(job, rule="goes-on", within=SOON + 5)
    trial.expect_succeeded(job, {"n": 3})
    trial.expect(refused.over, "goes-on", "The bot made no claim.")


def no_room(trial: Trial) -> None:
    trial.server.plans.no_room(claims_by_long_poll, 2)
    trial.wait(3.0, lambda: False)
    job = trial.server.add(ECHO, {"n": 4})
    trial.wait_until_finished(job, rule="goes-on")


def outage(trial: Trial) -> None:
    job = trial.sleep_job(0.5)
    lease = trial.wait_until_begun(job)
    trial.server.go_down(OUTAGE)
    trial.wait(OUTAGE, lambda: False)
    trial.expect_to_run()
    tries = sum(1 for call in trial.server.calls if call.sort == "connection")
    words = f"The server was away for {OUTAGE:g} s, and the bot tried {tries} times to reach it."
    trial.expect(tries <= MOST_TRIES, "backs-off", words)
    trial.wait_until_finished(job, rule="goes-on", within=SOON + 10)
    trial.expect((job.id, job.attempt) == lease, "report-repeated", f"{job} was claimed again as {job.attempt}.")
    last = trial.server.add(ECHO, {"n": 5})
    trial.wait_until_finished(last, rule="goes-on", within=SOON + 10)


def long_poll(trial: Trial) -> None:
    # The answer comes a second late: connections take their time.
    trial.server.late_by = 1.0
    trial.need(trial.wait(SOON, lambda: bool(_polls(trial))), "goes-on", f"There was no claim within {SOON:g} s.")
    call = _polls(trial)[0]
    seconds = float((call.claim or {}).get("wait") or 0)
    # A bot that gives up early makes its second claim before the first is answered.
    trial.wait(seconds + 3, lambda: call.answered_at is not None and len(_polls(trial)) > 1)
    # A bot that does not use long polls asks again, but not all the time.
    trial.wait(max(0.2, 2 - seconds), lambda: False)
    words = f"A claim with `wait: {seconds:g}` was given up before its answer came."
    trial.expect(not call.hung_up, "time-out-above-wait", words)
    trial.wait_until_finished(trial.server.add(ECHO, {"n": 6}), rule="goes-on")


def _polls(trial: Trial) -> list[Call]:
    return [call for call in trial.server.calls if call.claim is not None]


SCENARIOS = (
    Scenario("work", "Jobs are done and reported, and answers have a field that is new.", ordinary_work),
    Scenario("lost-answer", "The answer to a report is lost.", lost_answer),
    Scenario("lost-claim", "The answer to a claim is lost, and it had given a job.", lost_claim),
    Scenario("busy", "A claim is refused with 503, a report with 429; both have `Retry-After`.", busy),
    Scenario("no-room", "A long poll is answered at once, without jobs and with `Retry-After`.", no_room),
    Scenario("outage", "The server drops all connections and is away for 3 s.", outage),
    Scenario("long-poll", "There is nothing to do for as long as a claim waits.", long_poll),
)
