"""The bot's turns: one thread that sends what there is to report, and claims as many jobs as there is room for."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from .api import Client
from .backoff import Backoff, jittered, spread
from .endings import EXIT_REPLACED, RESTART, Ending, ending_for
from .errors import JobsiteError, LeaseLost, Unavailable
from .handback import HandBack
from .job import Job
from .leases import Leases
from .messages import ClaimedJob, Completed, Exchange, Failed
from .outbox import Batch, Outbox, Report
from .pulse import Beat, Pulse
from .singly import Singly

log = logging.getLogger("jobsite_client")

# Seconds. How often heartbeats are looked for, and so the finest one is timed.
TICK = 0.5
# The bot itself, when it has nothing else to say.
BOT_EVERY = 30.0
# The longest wait while the server is away.
LONGEST_OUTAGE_WAIT = 5.0
# After so many failures in a row reports go one by one: it may be one of them that the server cannot bear.
PATIENCE = 4
# A server without exchanges is given its reports one by one for so long; then it may have been upgraded.
SINGLY_FOR = 300.0


def take_in(leases: Leases, handback: HandBack, promised: int, claimed: Sequence[ClaimedJob]) -> None:
    """A claim's answer: its jobs go to the workers, or back when this process takes no more."""
    jobs = [Job(job) for job in claimed]
    for job in jobs:
        log.info("%s: claimed.", job)
    if not leases.settle(promised, jobs):
        handback.give(jobs)


class Exchanger(threading.Thread):
    """Sends reports and heartbeats until `end()`, each exchange as soon as the one before is answered.

    What comes while an exchange is on its way gathers for the next. A claim rides along with the last reports there
    are; with nothing to report, claiming is the `Claimer`'s. `done` is called when jobs are out of `leases`, `tell`
    hears of what ends the whole bot: a restart, a revoked token, a process that took over.
    """

    def __init__(
        self,
        client: Client,
        leases: Leases,
        outbox: Outbox,
        handback: HandBack,
        *,
        kinds: Sequence[str],
        heartbeat_every: float | None,
        version: str,
        tell: Callable[[Ending], None],
        done: Callable[[], None],
    ) -> None:
        super().__init__(name="jobsite-exchanger", daemon=True)
        self._client = client
        self._leases = leases
        self._outbox = outbox
        self._handback = handback
        self._kinds = kinds
        self._version = version
        self._tell = tell
        self._done = done
        self._pulse = Pulse(client, heartbeat_every)
        self._singly = Singly(client, self._pulse, tell)
        self._ended = threading.Event()
        self._trouble = Backoff(first=0.1, longest=LONGEST_OUTAGE_WAIT)
        # Calls that failed since the last that did not. Until it is 0 again no claim is risked with the reports.
        self._failures = 0
        self._singly_until = 0.0
        self._tick = min(TICK, heartbeat_every or TICK)
        self._next_tick = time.monotonic() + self._tick
        self._bot_every = heartbeat_every or BOT_EVERY
        self._bot_due = time.monotonic() + self._bot_every

    def end(self) -> None:
        """Send no more."""
        self._ended.set()
        self._outbox.end()

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                self._round()
            except Exception:
                # Without this thread the bot would lose every lease it ever takes; one bad round is the lesser evil.
                log.exception("A round of reports and heartbeats failed; the next one follows.")

    def _round(self) -> None:
        batch = self._outbox.take(self._next_tick)
        beats: list[Beat] = []
        if (now := time.monotonic()) >= self._next_tick:
            self._next_tick = now + self._tick
            beats = self._pulse.due(self._leases.running())
        if batch.alone or now < self._singly_until or self._failures >= PATIENCE:
            self._say_singly(batch.reports, beats)
        elif batch.reports or beats:
            self._exchange(batch, beats)
        if not batch.reports and now >= self._bot_due:
            self._beat_for_bot()

    # --- By exchange ----------------------------------------------------------------------------------------------

    def _exchange(self, batch: Batch, beats: list[Beat]) -> None:
        said = [report.said for report in batch.reports]
        promised = self._leases.reserve() if said and batch.last and not self._failures else 0
        try:
            reply = self._client.exchange(
                completed=[report for report in said if isinstance(report, Completed)],
                failed=[report for report in said if isinstance(report, Failed)],
                heartbeats=[beat.said for beat in beats],
                limit=promised,
                kinds=self._kinds,
                retry_for=0,
            )
        except Unavailable as error:
            if promised and error.maybe_done:
                self._leases.lose(promised)
            else:
                self._leases.settle(promised)
            self._wait_out(error, batch.reports, beats)
        except (JobsiteError, ValueError) as error:
            self._leases.settle(promised)
            self._refused(error, batch.reports, beats)
        except Exception:
            # The answer makes no sense, and may have been one to a claim.
            if promised:
                self._leases.lose(promised)
            self._say_singly(batch.reports, beats)
            raise
        else:
            self._well()
            # First the new jobs, then room for more: in between, nobody is to claim for the same workers.
            take_in(self._leases, self._handback, promised, reply.jobs)
            self._read(reply, batch.reports, beats)

    def _read(self, reply: Exchange, reports: list[Report], beats: list[Beat]) -> None:
        held = set(reply.accepted)
        errors = {rejected.id: rejected.error for rejected in reply.rejected}
        for report in reports:
            if report.said.id in held:
                report.held()
            elif isinstance(error := errors.get(report.said.id), LeaseLost):
                report.too_late(error)
            else:
                report.undelivered(error.detail if error else "The server's answer does not name it.")
        for beat in beats:
            if beat.job.id in held:
                self._pulse.held(beat)
            elif beat.job.id in errors:
                self._pulse.refused(beat, errors[beat.job.id])
        self._out(reports)
        if reply.retry_after is not None:
            self._leases.rest(spread(reply.retry_after))
        if reply.restart:
            self._tell(RESTART)

    def _refused(self, error: JobsiteError | ValueError, reports: list[Report], beats: list[Beat]) -> None:
        """The server did nothing of it, because of one report, the claim, or the whole call."""
        status = error.status if isinstance(error, JobsiteError) else None
        ending = ending_for(error, self._client.instance) if isinstance(error, JobsiteError) else None
        if ending:
            self._tell(ending)
        if ending and ending.code == EXIT_REPLACED:
            # That was about the claim. The reports may be taken all the same; one too late is kept for the operators.
            self._failures += 1
            self._outbox.put_back(reports)
            return
        if status in (404, 405):
            log.info("This server knows no exchanges; reports go one by one.")
            self._singly_until = time.monotonic() + SINGLY_FOR
        elif not ending:
            log.warning("The server refused an exchange, so its reports go one by one: %s", error)
        self._say_singly(reports, beats)

    # --- One by one -----------------------------------------------------------------------------------------------

    def _say_singly(self, reports: Sequence[Report], beats: Sequence[Beat]) -> None:
        reports_left, beats_left = deque(reports), deque(beats)
        try:
            while reports_left:
                self._say_one(reports_left[0])
                self._out([reports_left.popleft()])
            while beats_left:
                self._singly.beat(beats_left[0])
                beats_left.popleft()
        except Unavailable as error:
            # The one that failed comes last the next time.
            reports_left.rotate(-1)
            self._wait_out(error, reports_left, beats_left)
        else:
            self._well()

    def _say_one(self, report: Report) -> None:
        try:
            self._singly.report(report)
        except Unavailable:
            raise
        except Exception:
            log.exception("%s: the report could not be made; the sweep will give the job back.", report.job)

    def _beat_for_bot(self) -> None:
        self._bot_due = time.monotonic() + jittered(self._bot_every)
        try:
            orders = self._client.bot_heartbeat(self._version)
        except Unavailable as error:
            log.warning("The bot's own heartbeat did not arrive, will try again. %s", error.detail)
        except JobsiteError as error:
            if ending := ending_for(error, self._client.instance):
                self._tell(ending)
            else:
                log.error("The bot: the server refused a heartbeat: %s", error.detail)
        else:
            if orders.restart:
                self._tell(RESTART)

    # --- What became of it ----------------------------------------------------------------------------------------

    def _out(self, reports: list[Report]) -> None:
        """These are dealt with, one way or another."""
        self._leases.remove(*(report.job for report in reports))
        self._done()

    def _well(self) -> None:
        self._failures = 0
        self._trouble.reset()

    def _wait_out(self, error: Unavailable, reports: Sequence[Report], beats: Sequence[Beat]) -> None:
        """The server was not there: keep everything for the next try, and wait until it is time for it."""
        self._failures += 1
        delay = self._trouble.next(at_least=error.retry_after)
        late = [report for report in reports if time.monotonic() + delay > report.give_up_at]
        for report in late:
            report.undelivered(error.detail)
        self._out(late)
        self._outbox.put_back(report for report in reports if report not in late)
        for beat in beats:
            self._pulse.unheard(beat)
        log.warning(
            "%d reports and %d heartbeats did not arrive, will try again. %s", len(reports), len(beats), error.detail
        )
        self._ended.wait(delay)
