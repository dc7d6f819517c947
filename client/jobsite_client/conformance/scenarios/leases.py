"""Leases are short, end under the bot, or are given again."""

from datetime import timedelta

from ..trial import SOON, Scenario, Trial

# Seconds that a short lease lasts.
SHORT = 3.0
# Seconds of work that is interrupted, and begun once more.
LONG = 4.0
# How wrong a clock is.
SKEW = timedelta(hours=6)
# Seconds until a bot knows that a lease is lost: by the heartbeat of the lease, or by that of the process.
BY_LEASE, BY_PROCESS = 3.0, 7.0


def heartbeats(trial: Trial) -> None:
    _hold(trial, timedelta(0))


def clock_ahead(trial: Trial) -> None:
    _hold(trial, SKEW)


def clock_behind(trial: Trial) -> None:
    _hold(trial, -SKEW)


def _hold(trial: Trial, ahead: timedelta) -> None:
    """A job that takes longer than its lease lasts, by a clock that is wrong."""
    trial.server.ahead = ahead
    trial.server.do(lambda queue: setattr(queue, "lease_for", SHORT))
    job = trial.sleep_job(SHORT + 2)
    lease = trial.wait_until_begun(job)
    trial.wait(SHORT + 2 + SOON, lambda: job.finished or len(job.given) > 1)
    expired = lease[1] in job.ended and job.ended[lease[1]].verb == "expire"
    beats = [
        r.call.at for call in trial.server.calls for r in call.reports() if (r.verb, r.lease) == ("heartbeat", lease)
    ]
    words = f"The lease of job {lease[0]} lasts {SHORT:g} s and expired: it had {len(beats)} heartbeats."
    trial.need(not expired, "lease-renewed", words)
    trial.wait_until_finished(job)
    most = 3 * (SHORT + 2)
    words = f"A lease of {SHORT:g} s had {len(beats)} heartbeats in {SHORT + 2:g} s."
    trial.expect(len(beats) <= most, "no-hammering", words)


def cancel(trial: Trial) -> None:
    job = trial.sleep_job(60)
    lease = trial.wait_until_begun(job)
    trial.server.do(lambda queue: queue.cancel(job))
    trial.expect_stopped(lease, trial.server.now(), BY_PROCESS)
    trial.expect_to_run()
    trial.wait_until_finished(trial.sleep_job(0.1), rule="goes-on")


def second_attempt(trial: Trial) -> None:
    trial.server.do(lambda queue: setattr(queue, "lease_for", SHORT))
    job = trial.sleep_job(LONG)
    lease = trial.wait_until_begun(job)
    # If the end of the first handler were reported for the second attempt, it would come so much too early.
    trial.wait(1.5, lambda: False)
    at = trial.server.now()
    trial.server.do(lambda queue: queue.release(job))
    trial.expect_stopped(lease, at, BY_LEASE)
    again = trial.wait(SOON, lambda: len(job.given) > 1)
    trial.need(again, "goes-on", f"{job} was released, and nobody claimed it again within {SOON:g} s.")
    second = job.id, job.attempt
    trial.wait_until_begun(job, rule="table-by-lease")
    trial.wait(LONG + SOON, lambda: job.finished or len(job.given) > 2)
    words = f"Attempt {second[1]} of job {job.id} was claimed while the handler of attempt {lease[1]} ended. It {{}}."
    lost = second[1] in job.ended and job.ended[second[1]].verb != "complete"
    trial.expect(not lost, "table-by-lease", words.format("was not kept until it was done"))
    trial.expect(job.finished or lost, "table-by-lease", words.format("was never reported"))
    if job.finished:
        took = job.ended[second[1]].at - job.given[second[1]]
        words = words.format(f"was reported as done after {took:.1f} s of {LONG:g} s of work")
        trial.expect(took > LONG - 0.5, "table-by-lease", words)


SCENARIOS = (
    Scenario("heartbeats", "A job takes longer than its lease lasts.", heartbeats),
    Scenario("clock-ahead", "The same, and the server's clock is 6 hours ahead.", clock_ahead),
    Scenario("clock-behind", "The same, and the server's clock is 6 hours behind.", clock_behind),
    Scenario("cancel", "An operator cancels a job of a long lease during the work.", cancel),
    Scenario("second-attempt", "A lease is released during the work, and the job given again.", second_attempt),
)
