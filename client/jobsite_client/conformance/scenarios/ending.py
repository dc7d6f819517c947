"""SIGTERM, with and without work."""

from ..queue import ECHO
from ..trial import SOON, Scenario, Trial


def sigterm_at_work(trial: Trial) -> None:
    trial.wait_until_begun(trial.sleep_job(60))
    trial.terminate()
    _expect_goodbye(trial)


def sigterm_idle(trial: Trial) -> None:
    trial.need(trial.wait(SOON, lambda: _polls(trial)), "goes-on", f"There was no claim within {SOON:g} s.")
    trial.process.terminate()
    # The claim that is under way gets a job at the same moment.
    trial.server.add(ECHO, {"n": 1})
    trial.terminate()
    _expect_goodbye(trial)


def _polls(trial: Trial) -> bool:
    return any(call.claim is not None for call in trial.server.calls)


def _expect_goodbye(trial: Trial) -> None:
    goodbye = any(call.sort == "goodbye" and call.status == 200 for call in trial.server.calls)
    words = "The process ended without goodbye, so a claim that was still under way could get jobs."
    trial.expect(goodbye, "sigterm-holds-nothing", words)


SCENARIOS = (
    Scenario("sigterm", "SIGTERM comes during the work.", sigterm_at_work),
    Scenario("sigterm-idle", "SIGTERM comes while the bot waits for jobs, and a job at the same time.", sigterm_idle),
)
