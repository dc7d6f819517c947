"""Send due notifications. Several senders share the channels; a slow or broken channel delays no other.

No transaction is open during network calls. One sender at a time claims a channel and sends its notifications in order;
after a failure the rest wait for the next run. All database work runs in the caller's thread; the pool's threads only
wait for the network.
"""

import json
import time
import uuid
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from alerts.delivery import addresses, channels, messages, outbox, signing, timing
from alerts.delivery.held import COMMAND, Held, held
from alerts.delivery.process import SendResult, WorkerProcess
from alerts.models import Channel
from alerts.states import SECRET_PREFIX, Moment, Severity, Way
from jobsite.lib import site
from jobsite.lib.clock import database_now

#: Apprise's notification type, for services that show colours.
LEVELS = {Moment.RESOLVED: "success"}


@dataclass
class SendCounts:
    """Counts of one run's deliveries. `errors`: `(channel, masked error)` of each that failed.

    `all_held`: nothing was sent, since notifications are held back after a restore.
    """

    reminders: int = 0
    sent: int = 0
    failed: int = 0
    given_up: int = 0
    dropped: int = 0
    held: int = 0
    errors: list[tuple[str, str]] = field(default_factory=list)
    all_held: Held | None = None

    def counts(self) -> dict[str, int]:
        """The counts, for `--json` and the summary line."""
        return {name: n for name, n in asdict(self).items() if name not in ("errors", "all_held")}

    def lines(self) -> list[str]:
        """What went wrong, or held everything back: one line for each."""
        held = [f"Alerts are {self.all_held}. {COMMAND}"] if self.all_held else []
        return [*held, *(f"{channel}: {error}" for channel, error in self.errors)]


def send_due(run_time: timedelta = timing.RUN_TIME, halt: Future[None] | None = None) -> SendCounts:
    """Write due reminders, then send all due deliveries, unless all are held back. Do not call it in a transaction.

    Starts no new delivery after `run_time`. If interrupted, or when `halt` is done, it waits `timing.STOP_WAIT` for
    tries under way, records them, and re-raises the interrupt.
    """
    site.compare_now()
    if all_held := held():
        return SendCounts(all_held=all_held)
    counts = SendCounts(reminders=outbox.enqueue_reminders())
    with _SendRun(counts, run_time, halt or Future()) as run:
        run.run()
    return counts


def send_test(channel: Channel, by: str) -> SendResult:
    """Send a test to this channel now. Returns the receiver's answer, masked, and updates the channel's state."""
    message = messages.build_test(database_now(), by)
    with WorkerProcess(channel.way) as worker:
        result = _send(worker, channel, message, Moment.OPENED, f"test-{uuid.uuid4()}", int(database_now().timestamp()))
    detail = _masked(result, channel)
    if result.ok:
        channels.record_success(channel)
    else:
        channels.record_failure(channel, detail)
    return SendResult(result.ok, detail, result.unsure)


class _SendRun:
    """One run of the sender."""

    def __init__(self, counts: SendCounts, run_time: timedelta, halt: Future[None]) -> None:
        self.counts = counts
        self.halt = halt
        self.sender = uuid.uuid4()
        self.skipped = outbox.Skipped()
        self.until = time.monotonic() + run_time.total_seconds()
        self.pool = ThreadPoolExecutor(timing.MAX_CHANNELS_AT_ONCE, thread_name_prefix="send")
        self.workers: dict[int, WorkerProcess] = {}
        self.started = Counter[int]()
        self.running: dict[Future[SendResult], outbox.Ready] = {}

    def __enter__(self) -> "_SendRun":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if self.halt.done() or (kind is not None and issubclass(kind, KeyboardInterrupt)):
                self._record(wait(self.running, timing.STOP_WAIT.total_seconds()).done, go_on=False)
        finally:
            for worker in self.workers.values():
                worker.end()
            self.pool.shutdown(cancel_futures=True)
            self.counts.dropped, self.counts.held = self.skipped.dropped, self.skipped.held

    def run(self) -> None:
        """Send until nothing is due, the run's time is up, or `halt` is done."""
        waiting = channels.with_due_deliveries()
        while (waiting or self.running) and not self.halt.done():
            while waiting and len(self.running) < timing.MAX_CHANNELS_AT_ONCE:
                channel = waiting.pop(0)
                if channels.claim(channel, self.sender):
                    self._send_next(channel)
            if self.running:
                events: list[Future[Any]] = [*self.running, self.halt]
                wait(events, return_when=FIRST_COMPLETED)
                self._record({future for future in self.running if future.done()}, go_on=True)

    def _send_next(self, channel: int) -> None:
        """Start the channel's next delivery, or release the channel: there is none, no time left, or it had enough."""
        may_send = time.monotonic() < self.until and self.started[channel] < timing.MAX_PER_RUN
        ready = outbox.next_of(channel, self.sender, self.skipped) if may_send else None
        if ready is None:
            self._release(channel)
            return
        self.started[channel] += 1
        worker = self.workers.setdefault(channel, WorkerProcess(ready.channel.way))
        timestamp = int(ready.channel.now.timestamp())  # type: ignore[attr-defined]
        message = messages.refresh_links(ready.delivery.message)
        arguments = (worker, ready.channel, message, ready.moment, str(ready.delivery.uid), timestamp)
        self.running[self.pool.submit(_send, *arguments)] = ready

    def _record(self, finished: set[Future[SendResult]], *, go_on: bool) -> None:
        """Record these results at once: a crash between an answer and its record repeats the delivery."""
        for future in finished:
            ready = self.running.pop(future)
            result = future.result()
            detail = _masked(result, ready.channel)
            if result.ok:
                outbox.record_sent(ready, detail)
                self.counts.sent += 1
            else:
                given_up = outbox.record_failed(ready, detail, unsure=result.unsure)
                self.counts.failed += 1
                self.counts.given_up += given_up
                self.counts.errors.append((ready.channel.name, detail))
            if result.ok and go_on:
                self._send_next(ready.channel.pk)
            else:
                self._release(ready.channel.pk)

    def _release(self, channel: int) -> None:
        channels.release(channel, self.sender)
        worker = self.workers.pop(channel, None)
        if worker is not None:
            worker.end()


def _send(
    worker: WorkerProcess, channel: Channel, message: dict[str, Any], moment: Moment, id: str, timestamp: int
) -> SendResult:
    """Send by the worker process. Runs in a thread of the pool, so it must not use the database."""
    if channel.way == Way.WEBHOOK:
        body = json.dumps({"id": id} | message | {"moment": str(moment)}, ensure_ascii=False)
        headers = signing.headers(channel.secret, timestamp, body, id)
        return worker.post(url=channel.address, headers=headers, body=body)
    clean = messages.cleaner(channel.address)
    critical = message["incident"]["severity"] == Severity.CRITICAL
    level = "info" if message["test"] else LEVELS.get(moment, "failure" if critical else "warning")
    return worker.notify(
        address=channel.address,
        title=messages.subject(message, moment, clean),
        body=messages.text(message, moment, id, clean),
        level=level,
        id=id,
    )


def _masked(result: SendResult, channel: Channel) -> str:
    return addresses.mask_and_cut(
        result.detail, channel.address, channel.secret, channel.secret.removeprefix(SECRET_PREFIX)
    )
