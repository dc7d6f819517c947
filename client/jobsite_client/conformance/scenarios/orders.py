"""What operators and other processes want of the bot: pause, restart, replace, revoke."""

from ..queue import ECHO
from ..trial import SOON, Scenario, Trial


def pause(trial: Trial) -> None:
    trial.server.do(lambda queue: setattr(queue, "paused", True))
    waiting = trial.server.add(ECHO, {"n": 1})
    before = len(trial.server.calls)
    trial.wait(3.0, lambda: False)
    trial.expect_to_run()
    trial.server.do(lambda queue: setattr(queue, "paused", False))
    trial.wait_until_finished(waiting, rule="goes-on", within=SOON + 5)
    trial.expect(len(trial.server.calls) > before, "goes-on", "The bot made no call while it was paused.")


def restart(trial: Trial) -> None:
    job = trial.sleep_job(60)
    lease = trial.wait_until_begun(job)
    hellos = _hellos(trial)
    at = trial.server.now()
    trial.server.do(lambda queue: queue.ask_restart())
    trial.wait(SOON, lambda: trial.process.ended or _hellos(trial) > hellos)
    words = f"The process neither ended nor called hello again within {SOON:g} s after `restart: true`."
    trial.need(trial.process.ended or _hellos(trial) > hellos, "restart-obeyed", words)
    last = trial.work.last(lease) or at
    trial.expect(last <= at + 7, "stops-when-lost", f"The handler of {job} still worked {last - at:.1f} s later.")
    if trial.process.ended:
        goodbye = any(call.sort == "goodbye" and call.status == 200 for call in trial.server.calls)
        trial.expect(goodbye or not trial.queue.held(), "restart-obeyed", "The process ended without goodbye.")
        trial.start_again()
    trial.server.do(lambda queue: queue.cancel(job))
    trial.wait_until_finished(trial.server.add(ECHO, {"n": 2}), rule="restart-obeyed")


def _hellos(trial: Trial) -> int:
    return sum(1 for call in trial.server.calls if call.sort == "hello" and call.status == 200)


def replaced(trial: Trial) -> None:
    trial.wait_until_finished(trial.server.add(ECHO, {"n": 3}))
    (current,) = [name for name, instance in trial.queue.instances.items() if not instance.ended]
    newer = {"instance": "a-newer-process", "identity": trial.queue.instances[current].identity}
    trial.server.do(lambda queue: queue.hello(newer, ""))
    hellos = _hellos(trial)
    ended = trial.wait(SOON, lambda: trial.process.ended or _hellos(trial) > hellos)
    fights = _hellos(trial) > hellos
    words = "After 409 `instance_replaced` the bot called hello again, and took over from the newer process."
    trial.expect(not fights, "stops-when-replaced", words)
    words = f"The process still ran {SOON:g} s after a newer one had taken over."
    trial.expect(ended or fights, "stops-when-replaced", words)


def revoked(trial: Trial) -> None:
    trial.wait_until_finished(trial.server.add(ECHO, {"n": 4}))
    trial.server.do(lambda queue: setattr(trial.server, "revoked", True))
    trial.server.add(ECHO, {"n": 5})
    ended = trial.wait(SOON, lambda: trial.process.ended)
    trial.expect(ended, "stops-when-refused", f"The process still ran {SOON:g} s after its token was revoked.")


def killed(trial: Trial) -> None:
    job = trial.sleep_job(1.0)
    trial.wait_until_begun(job)
    trial.process.kill()
    trial.start_again()
    trial.wait_until_finished(job, rule="identity-stays")
    words = f"{job} was held by a process that was killed; the new one did not get it back by hello."
    trial.expect(len(job.given) == 2, "identity-stays", words)


SCENARIOS = (
    Scenario("pause", "An operator pauses the bot, and resumes it.", pause),
    Scenario("restart", "An operator asks for a restart during the work.", restart),
    Scenario("replaced", "A newer process of the same identity takes over.", replaced),
    Scenario("revoked", "The token is revoked.", revoked),
    Scenario("killed", "The process is killed during the work and started again.", killed),
)
