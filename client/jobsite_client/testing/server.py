"""A server in memory that bots under test work for: the one that the conformance suite checks bots against."""

import threading
from collections.abc import Mapping
from typing import Any

from ..api import Client
from ..bot import Bot
from ..conformance.queue import Job
from ..conformance.server import Server
from ..handlers import Function

# Seconds until a job that is due later counts as one that no bot is to work on now.
SOON = 1.0


class MemoryServer(Server):
    """Has claim, start, heartbeat, complete, fail, release, and what a bot calls about itself; listens at `url`.

    Use it with `with`, or by the fixture `jobsite_server` of pytest. Jobs are put in by `enqueue`, and have `status`,
    `result` and `error`. It keeps to the server's rules about leases and retries: a failed job is tried three times,
    with half a second between.
    """

    def __init__(self) -> None:
        super().__init__()
        # Any.
        self.queue.kinds = ()

    def enqueue(self, kind: str, payload: Any = None) -> Job:
        """Put a job in."""
        return self.add(kind, payload)

    def cancel(self, job: Job, reason: str = "not needed") -> None:
        """Cancel a job, as an operator does: its handler is asked to stop."""
        self.do(lambda queue: queue.cancel(job, reason))

    def client(self) -> Client:
        """A client with a bot's token."""
        return Client(self.url, self.token)

    def work(self, bot: Bot | Mapping[str, Function], *, seconds: float = 10.0) -> None:
        """Run the bot, or one with these handlers, until no job is left that is due now or soon.

        Of a `Bot` a copy is run that calls this server. Raises TimeoutError if there are jobs left after `seconds`.
        """
        running = bot if isinstance(bot, Bot) else Bot(self.url, self.token, bot)
        with self.client() as client:
            copy = running.copy_for(client)
            thread = threading.Thread(target=copy.run, name="jobsite-test-bot")
            thread.start()
            try:
                finished = self.wait(seconds, lambda: not self._left() or not thread.is_alive())
            finally:
                copy.stop()
                thread.join()
        if not finished or self._left():
            left = ", ".join(f"{job} is {job.status}" for job in self._left())
            raise TimeoutError(f"After {seconds:g} s {left}.")

    def _left(self) -> list[Job]:
        soon = self.now() + SOON
        return [job for job in self.queue.jobs.values() if job.held or (job.status == "pending" and job.due <= soon)]
