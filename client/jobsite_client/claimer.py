"""Getting jobs: one thread that says hello and then claims, as many as there is room for."""

import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue

from .api import Claim, Client
from .backoff import Backoff, jittered
from .endings import EXIT_REFUSED, Ending, ending_for
from .errors import JobsiteError, LeaseLost, Unavailable
from .heart import RESTART
from .job import Job
from .leases import Leases

log = logging.getLogger("jobsite_client")

# Seconds between claims of a paused bot: often enough to notice its resumption, seldom enough not to matter.
PAUSED_EVERY = 5.0
LONGEST_OUTAGE_WAIT = 15.0


class Claimer(threading.Thread):
    """Says hello, then keeps every worker busy until `end()`; claimed jobs go to `leases` and `todo`."""

    def __init__(
        self,
        client: Client,
        leases: Leases,
        todo: "SimpleQueue[Job]",
        *,
        kinds: Sequence[str],
        poll_every: float,
        alone: bool,
        version: str,
        tell: Callable[[Ending], None],
    ) -> None:
        super().__init__(name="jobsite-claimer", daemon=True)
        self._client = client
        self._leases = leases
        self._todo = todo
        self._kinds = kinds
        self._poll = Backoff(first=0.05, longest=poll_every)
        self._trouble = Backoff(first=min(0.5, poll_every), longest=LONGEST_OUTAGE_WAIT)
        self._poll_every = poll_every
        self._alone = alone
        self._version = version
        self._tell = tell
        self._ending = threading.Event()
        self._claim_lost = False
        self._paused = False

    def end(self) -> None:
        """Claim no more. A claim that is on its way is handed back when it arrives."""
        self._ending.set()
        self._leases.close()

    def run(self) -> None:
        try:
            if self._hello():
                while room := self._leases.wait_for_room():
                    self._ending.wait(self._turn(room))
        except Exception as error:
            log.exception("The bot cannot go on claiming.")
            self._tell(Ending(1, f"The bot cannot go on claiming: {error!r}"))

    def _hello(self) -> bool:
        """Begin a life under a new name, however long the server takes to be there. False: do not go on."""
        # It travels in a header, so it has to be ASCII; the random part makes it unique, the rest is for people.
        host = socket.gethostname().encode("ascii", "ignore").decode()[:40]
        instance = f"{host}-{os.getpid()}-{secrets.token_hex(6)}"
        while not self._ending.is_set():
            try:
                self._client.hello(instance, version=self._version, alone=self._alone, retry_for=0)
            except JobsiteError as error:
                if not isinstance(error, Unavailable) and (error.status or 0) < 500:
                    why = ending_for(error, instance)
                    self._tell(why or Ending(EXIT_REFUSED, f"The server refused this bot: {error.detail}"))
                    return False
                log.warning("Waiting for the server. %s", error.detail)
                self._ending.wait(self._trouble.next())
            else:
                log.info("Said hello as %s; kinds: %s.", instance, ", ".join(self._kinds))
                self._trouble.reset()
                return True
        return False

    def _turn(self, room: int) -> float:
        """Claim once. Returns how long to wait before the next time, in seconds."""
        # The answer to an earlier claim was lost, and with it the names of the jobs it gave us. A new hello gives
        # back what this bot holds, which is right only while it holds nothing that it knows of.
        if self._claim_lost and self._alone and not len(self._leases):
            if not self._hello():
                return 0.0
            self._claim_lost = False
        try:
            claim = self._client.claim(room, kinds=self._kinds, retry_for=0)
        except Unavailable as error:
            self._claim_lost = self._claim_lost or error.maybe_done
            log.warning("No claim, will try again. %s", error.detail)
            return max(self._trouble.next(), error.retry_after or 0.0)
        except JobsiteError as error:
            ending = ending_for(error, self._client.instance)
            if ending:
                self._tell(ending)
            else:
                log.error("The server refused a claim, will try again: %s", error.detail)
            return self._trouble.next()
        self._trouble.reset()
        self._take(claim)
        return self._pause_after(claim)

    def _take(self, claim: Claim) -> None:
        jobs = [Job(claimed) for claimed in claim.jobs]
        if self._leases.add(jobs):
            for job in jobs:
                log.info("%s: claimed.", job)
                self._todo.put(job)
        else:
            for job in jobs:
                hand_back(self._client, job)
        if claim.restart:
            self._tell(RESTART)

    def _pause_after(self, claim: Claim) -> float:
        if claim.paused != self._paused:
            self._paused = claim.paused
            log.info("An operator paused this bot." if claim.paused else "This bot is no longer paused.")
        if claim.jobs:
            self._poll.reset()
            return 0.0
        return jittered(max(self._poll_every, PAUSED_EVERY)) if claim.paused else self._poll.next()


def hand_back(client: Client, job: Job, *, retry_for: float = 3.0) -> None:
    """Give one job back unfinished, and log how that went."""
    try:
        client.release(job.id, job.attempt, retry_for=retry_for)
    except LeaseLost as error:
        log.info("%s: no need to hand it back, %s.", job, error.explain())
    except JobsiteError as error:
        log.warning("%s: could not be handed back, the sweep will do it. %s", job, error.detail)
    else:
        log.info("%s: handed back.", job)
