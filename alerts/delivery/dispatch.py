"""Sending what is due. Several senders share the work; a channel that is slow or broken holds up no other.

No transaction is open while the far side is spoken to. A channel belongs to one sender at a time, and its messages go
one after the other; after a failure the rest of them wait for another pass. All of the database's work is done here, in
the caller's thread and on its connection; the threads only wait for answers.
"""

import json
import time
import uuid
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from alerts.delivery import addresses, channels, messages, outbox, signing, timing
from alerts.delivery.process import Answer, Apart
from alerts.models import Channel
from alerts.states import Moment, Severity, Way

#: How a message looks in services that know colours.
LEVELS = {Moment.RESOLVED: "success"}


@dataclass
class Sent:
    """What one pass did: numbers of messages; `errors` is `(channel, masked error)` for each that failed."""

    reminders: int = 0
    sent: int = 0
    failed: int = 0
    given_up: int = 0
    dropped: int = 0
    held: int = 0
    errors: list[tuple[str, str]] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """The figures, for `--json` and the line of summary."""
        return {name: n for name, n in asdict(self).items() if name != "errors"}


def send_due(within: timedelta = timing.PASS, halt: Future[None] | None = None) -> Sent:
    """One pass: write the reminders that are due, then send all that is due. Not to be called in a transaction.

    It takes no new message after `within`. When it is interrupted, or `halt` is done, it waits `timing.LAST_WAIT` for
    what is on its way, and records that. An interrupt is raised on.
    """
    done = Sent(reminders=outbox.remind())
    with _Pass(done, within, halt or Future()) as this:
        this.run()
    return done


def test(channel: Channel, by: str) -> Answer:
    """Send a test to this channel now, and say what the far side answered, masked. Its health is noted."""
    message = messages.test(_now(), by)
    with Apart(channel.way) as apart:
        answer = _speak(apart, channel, message, Moment.OPENED, f"test-{uuid.uuid4()}", int(_now().timestamp()))
    said = _masked(answer, channel)
    if answer.ok:
        channels.well(channel)
    else:
        channels.unwell(channel, said)
    return Answer(answer.ok, said, answer.unsure)


class _Pass:
    def __init__(self, done: Sent, within: timedelta, halt: Future[None]) -> None:
        self.done = done
        self.halt = halt
        self.me = uuid.uuid4()
        self.passed = outbox.Passed()
        self.until = time.monotonic() + within.total_seconds()
        self.pool = ThreadPoolExecutor(timing.AT_ONCE, thread_name_prefix="send")
        self.apart: dict[int, Apart] = {}
        self.running: dict[Future[Answer], outbox.Ready] = {}

    def __enter__(self) -> "_Pass":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if self.halt.done() or (kind is not None and issubclass(kind, KeyboardInterrupt)):
                self._note(wait(self.running, timing.LAST_WAIT.total_seconds()).done, go_on=False)
        finally:
            for apart in self.apart.values():
                apart.end()
            self.pool.shutdown(cancel_futures=True)
            self.done.dropped, self.done.held = self.passed.dropped, self.passed.held

    def run(self) -> None:
        """Until nothing is due, the time is up, or it is to stop."""
        waiting = channels.with_due()
        while (waiting or self.running) and not self.halt.done():
            while waiting and len(self.running) < timing.AT_ONCE:
                channel = waiting.pop(0)
                if channels.take(channel, self.me):
                    self._next(channel)
            if self.running:
                news: list[Future[Any]] = [*self.running, self.halt]
                wait(news, return_when=FIRST_COMPLETED)
                self._note({future for future in self.running if future.done()}, go_on=True)

    def _next(self, channel: int) -> None:
        """Start with the channel's next message; let go of the channel when there is none, or no time for it."""
        in_time = time.monotonic() < self.until
        ready = outbox.next_of(channel, self.me, self.passed) if in_time else None
        if ready is None:
            self._leave(channel)
            return
        apart = self.apart.setdefault(channel, Apart(ready.channel.way))
        stamp = int(ready.channel.now.timestamp())  # type: ignore[attr-defined]
        message = messages.as_sent(ready.delivery.message)
        arguments = (apart, ready.channel, message, ready.moment, str(ready.delivery.uid), stamp)
        self.running[self.pool.submit(_speak, *arguments)] = ready

    def _note(self, finished: set[Future[Answer]], *, go_on: bool) -> None:
        """Record what became of these at once: between the answer and this lies all that may be repeated."""
        for future in finished:
            ready = self.running.pop(future)
            answer = future.result()
            said = _masked(answer, ready.channel)
            if answer.ok:
                outbox.sent(ready, said)
                self.done.sent += 1
            else:
                given_up = outbox.failed(ready, said, unsure=answer.unsure)
                self.done.failed += 1
                self.done.given_up += given_up
                self.done.errors.append((ready.channel.name, said))
            if answer.ok and go_on:
                self._next(ready.channel.pk)
            else:
                self._leave(ready.channel.pk)

    def _leave(self, channel: int) -> None:
        channels.let_go(channel, self.me)
        apart = self.apart.pop(channel, None)
        if apart is not None:
            apart.end()


def _speak(apart: Apart, channel: Channel, message: dict[str, Any], moment: Moment, id: str, stamp: int) -> Answer:
    """Say it to the far side. No database here: this runs in a thread of its own."""
    if channel.way == Way.WEBHOOK:
        body = json.dumps({"id": id} | message | {"moment": str(moment)}, ensure_ascii=False)
        return apart.post(url=channel.address, headers=signing.headers(channel.secret, stamp, body, id), body=body)
    critical = message["incident"]["severity"] == Severity.CRITICAL
    level = "info" if message["test"] else LEVELS.get(moment, "failure" if critical else "warning")
    return apart.notify(
        address=channel.address,
        title=messages.subject(message, moment),
        body=messages.text(message, moment, id),
        level=level,
        id=id,
    )


def _masked(answer: Answer, channel: Channel) -> str:
    return addresses.heard(answer.said, channel.address, channel.secret)


def _now() -> datetime:
    """The database's clock, like every other moment here."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now
