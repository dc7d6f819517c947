"""One thread that sends exchanges: due reports and heartbeats, with a claim for as many jobs as there is room for."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from .api import Client
from .backoff import Backoff, spread
from .endings import EXIT_REPLACED, NO_SLOT_LEFT, RESTART, Ending, ending_for
from .errors import JobsiteError, LeaseLost, Unavailable
from .handback import HandBack
from .job import Job
from .leases import Leases
from .messages import ClaimedJob, Completed, Exchange, Failed, Released
from .outbox import Batch, Outbox, Report
from .pulse import DueHeartbeat, Pulse
from .results import Results
from .singly import Singly

log = logging.getLogger("jobsite_client")

# Seconds between checks for due heartbeats.
TICK = 0.5
# Seconds between heartbeats of the process itself, and while it works on jobs: so soon it learns that a lease is lost.
BOT_EVERY, WORKING_EVERY = 30.0, 5.0
# The longest wait while the server is away.
LONGEST_OUTAGE_WAIT = 5.0
# After so many failures in a row, reports are sent one by one: a single one may make the server fail.
FAILURES_BEFORE_SINGLY = 4
# Seconds to send reports one by one to a server without exchanges, before trying an exchange again.
SINGLY_FOR = 300.0

# The code of the refusal to defer a job once more.
TOO_MANY_DEFERRALS = "too_many_deferrals"
# The most leases of one heartbeat.
HOLDS_LIMIT = 10_000


def receive_jobs(leases: Leases, handback: HandBack, promised: int, claimed: Sequence[ClaimedJob]) -> None:
    """Pass claimed jobs to the workers, or hand them back if this process is stopping."""
    jobs = [Job(job) for job in claimed]
    for job in jobs:
        log.info("%s: claimed.", job)
    if not leases.settle(promised, jobs):
        handback.give(jobs)


def _is_too_often(error: JobsiteError | None) -> bool:
    """Whether the server refused to defer a job once more. The bot holds it still."""
    return error is not None and error.code == TOO_MANY_DEFERRALS


class Exchanger(threading.Thread):
    """Sends reports and heartbeats until `end()`, each exchange as soon as the one before is answered.

    Reports that arrive during an exchange are sent with the next. The last reports carry a claim along; without
    reports the `Claimer` claims. `done` is called when jobs have left `leases`, `on_ending` when something ends the
    whole bot: a restart, a revoked token, or another process that took over.
    """

    def __init__(
        self,
        client: Client,
        leases: Leases,
        outbox: Outbox,
        handback: HandBack,
        results: Results,
        *,
        kinds: Sequence[str],
        heartbeat_every: float | None,
        timeouts: Mapping[str, float],
        version: str,
        on_ending: Callable[[Ending], None],
        done: Callable[[], None],
    ) -> None:
        super().__init__(name="jobsite-exchanger", daemon=True)
        self._client = client
        self._leases = leases
        self._outbox = outbox
        self._handback = handback
        self._kinds = kinds
        self._timeouts = timeouts
        self._version = version
        self._on_ending = on_ending
        self._done = done
        self._pulse = Pulse(client, heartbeat_every)
        self._singly = Singly(client, self._pulse, results, on_ending)
        self._ended = threading.Event()
        self._trouble = Backoff(first=0.1, longest=LONGEST_OUTAGE_WAIT)
        # Failed calls since the last success. While there are any, reports carry no claim.
        self._failures = 0
        self._singly_until = 0.0
        self._tick = min(TICK, heartbeat_every or TICK)
        self._next_tick = time.monotonic() + self._tick
        self._heartbeat_every = heartbeat_every
        self._bot_sent = time.monotonic()

    def end(self) -> None:
        """Stop sending."""
        self._ended.set()
        self._outbox.end()

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                self._round()
            except Exception:
                # Keep the thread alive: without it the bot would lose all its leases.
                log.exception("A round of reports and heartbeats failed; the next one follows.")

    def _round(self) -> None:
        batch = self._outbox.take(self._next_tick)
        heartbeats: list[DueHeartbeat] = []
        if (now := time.monotonic()) >= self._next_tick:
            self._next_tick = now + self._tick
            heartbeats = self._pulse.due(self._leases.running(), [report.job.id for report in batch.reports])
        if batch.alone or now < self._singly_until or self._failures >= FAILURES_BEFORE_SINGLY:
            self._send_singly(batch.reports, heartbeats)
        elif batch.reports or heartbeats:
            self._exchange(batch, heartbeats)
        self._watch()
        working = [job for job in self._leases.running() if not job.lost]
        if now >= self._bot_sent + (self._heartbeat_every or (WORKING_EVERY if working else BOT_EVERY)):
            self._send_bot_heartbeat(working)

    def _watch(self) -> None:
        """Stop handlers that run for too long, and end the process when each of its slots is lost to one that hangs."""
        for job in self._leases.running():
            within = self._timeouts.get(job.kind)
            if within and job.begun_at is not None and not job.timed_out and time.monotonic() > job.begun_at + within:
                job.timed_out = f"It ran longer than its time-out of {within:g} s."
                job.stop(job.timed_out)
        for job in self._leases.hung():
            if not job.lost:
                job.lost = True
                log.error("%s: its handler does not stop, and its slot is lost. The job is given up.", job)
                self._handback.give([job])
        slots = self._leases.slots()
        if slots.lost and slots.lost == slots.all:
            self._on_ending(NO_SLOT_LEFT)

    # --- By exchange ----------------------------------------------------------------------------------------------

    def _exchange(self, batch: Batch, heartbeats: list[DueHeartbeat]) -> None:
        contents = [report.content for report in batch.reports]
        promised = self._leases.reserve() if contents and batch.last and not self._failures else 0
        try:
            reply = self._client.exchange(
                completed=[report for report in contents if isinstance(report, Completed)],
                failed=[report for report in contents if isinstance(report, Failed)],
                released=[report for report in contents if isinstance(report, Released)],
                heartbeats=[heartbeat.message for heartbeat in heartbeats],
                limit=promised,
                kinds=self._kinds,
                slots=self._leases.slots(),
                retry_for=0,
            )
        except Unavailable as error:
            if promised and error.maybe_done:
                self._leases.lose(promised)
            else:
                self._leases.settle(promised)
            self._wait_out(error, batch.reports, heartbeats)
        except (JobsiteError, ValueError) as error:
            self._leases.settle(promised)
            self._refused(error, batch.reports, heartbeats)
        except Exception:
            # The answer is unusable, and may have contained claimed jobs.
            if promised:
                self._leases.lose(promised)
            self._send_singly(batch.reports, heartbeats)
            raise
        else:
            self._well()
            # Take the new jobs in before making room, or another claim would ask for the same workers.
            receive_jobs(self._leases, self._handback, promised, reply.jobs)
            self._read(reply, batch.reports, heartbeats)

    def _read(self, reply: Exchange, reports: list[Report], heartbeats: list[DueHeartbeat]) -> None:
        held = set(reply.accepted)
        errors = {rejected.id: rejected.error for rejected in reply.rejected}
        again = [report for report in reports if _is_too_often(errors.get(report.content.id))]
        for report in again:
            report.fail_instead(errors[report.content.id].detail)
        self._outbox.put_back(again)
        reports = [report for report in reports if report not in again]
        for report in reports:
            if report.content.id in held:
                report.held()
            elif isinstance(error := errors.get(report.content.id), LeaseLost):
                report.too_late(error)
            else:
                report.undelivered(error.detail if error else "The server's answer does not name it.")
        for heartbeat in heartbeats:
            if heartbeat.job.id in held:
                self._pulse.held(heartbeat)
            elif heartbeat.job.id in errors:
                self._pulse.refused(heartbeat, errors[heartbeat.job.id])
        self._out(reports)
        if reply.retry_after is not None:
            self._leases.rest(spread(reply.retry_after))
        if reply.restart:
            self._on_ending(RESTART)

    def _refused(self, error: JobsiteError | ValueError, reports: list[Report], heartbeats: list[DueHeartbeat]) -> None:
        """Handle an exchange that the server refused as a whole: because of one report, the claim, or the call."""
        status = error.status if isinstance(error, JobsiteError) else None
        ending = ending_for(error, self._client.instance) if isinstance(error, JobsiteError) else None
        if ending:
            self._on_ending(ending)
        if ending and ending.code == EXIT_REPLACED:
            # This concerns the claim. The server may still accept the reports, and keeps late results for operators.
            self._failures += 1
            self._outbox.put_back(reports)
            return
        if status in (404, 405):
            log.info("This server knows no exchanges; reports go one by one.")
            self._singly_until = time.monotonic() + SINGLY_FOR
        elif not ending:
            log.warning("The server refused an exchange, so its reports go one by one: %s", error)
        self._send_singly(reports, heartbeats)

    # --- One by one -----------------------------------------------------------------------------------------------

    def _send_singly(self, reports: Sequence[Report], heartbeats: Sequence[DueHeartbeat]) -> None:
        reports_left, beats_left = deque(reports), deque(heartbeats)
        try:
            while reports_left:
                self._send_one(reports_left[0])
                self._out([reports_left.popleft()])
            while beats_left:
                self._singly.heartbeat(beats_left[0])
                beats_left.popleft()
        except Unavailable as error:
            # Try the failed one last the next time.
            reports_left.rotate(-1)
            self._wait_out(error, reports_left, beats_left)
        else:
            self._well()

    def _send_one(self, report: Report) -> None:
        try:
            self._singly.report(report)
        except Unavailable:
            raise
        except Exception:
            log.exception("%s: the report could not be made; the job will expire.", report.job)

    def _send_bot_heartbeat(self, working: Sequence[Job]) -> None:
        self._bot_sent = time.monotonic()
        holds = [(job.id, job.attempt) for job in working[:HOLDS_LIMIT]]
        try:
            orders = self._client.bot_heartbeat(self._version, holds=holds or None, slots=self._leases.slots())
        except Unavailable as error:
            log.warning("The bot's own heartbeat did not arrive, will try again. %s", error.detail)
        except JobsiteError as error:
            if ending := ending_for(error, self._client.instance):
                self._on_ending(ending)
            else:
                log.error("The bot: the server refused a heartbeat: %s", error.detail)
        else:
            for job in working:
                if (job.id, job.attempt) in orders.lost:
                    self._pulse.lost(job, cancelled=(job.id, job.attempt) in orders.cancel)
            if orders.restart:
                self._on_ending(RESTART)

    # --- Outcomes -------------------------------------------------------------------------------------------------

    def _out(self, reports: list[Report]) -> None:
        """Drop reports that need no more tries."""
        self._leases.remove(*(report.job for report in reports))
        self._done()

    def _well(self) -> None:
        self._failures = 0
        self._trouble.reset()

    def _wait_out(self, error: Unavailable, reports: Sequence[Report], heartbeats: Sequence[DueHeartbeat]) -> None:
        """Keep everything for the next try after an outage, and wait for it."""
        self._failures += 1
        delay = self._trouble.next(at_least=error.retry_after)
        late = [report for report in reports if time.monotonic() + delay > report.give_up_at]
        for report in late:
            report.undelivered(error.detail)
        self._out(late)
        self._outbox.put_back(report for report in reports if report not in late)
        for heartbeat in heartbeats:
            self._pulse.not_delivered(heartbeat)
        log.warning(
            "%d reports and %d heartbeats did not arrive, will try again. %s",
            len(reports),
            len(heartbeats),
            error.detail,
        )
        self._ended.wait(delay)
