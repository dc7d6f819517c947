"""One thread that calls hello and then claims jobs by long polls."""

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Sequence

from .api import Client
from .backoff import Backoff, jittered, spread
from .endings import EXIT_REFUSED, RESTART, Ending, ending_for
from .errors import JobsiteError, Unavailable
from .exchanger import receive_jobs
from .handback import HandBack
from .leases import Leases
from .messages import Claim, JobId

log = logging.getLogger("jobsite_client")

# Seconds of a long poll.
WAIT = 20.0
# Seconds between claims of a paused bot.
PAUSED_EVERY = 5.0
LONGEST_OUTAGE_WAIT = 15.0


class Claimer(threading.Thread):
    """Calls hello, then claims whenever there is room and no report to carry a claim along, until `end()`.

    These claims are long polls. The `Exchanger` sends reports at the same time on another connection. `greeted` is
    called once, after the first hello.
    """

    def __init__(
        self,
        client: Client,
        leases: Leases,
        handback: HandBack,
        *,
        kinds: Sequence[str],
        poll_every: float,
        identity: str,
        version: str,
        greeted: Callable[[], None],
        on_ending: Callable[[Ending], None],
    ) -> None:
        super().__init__(name="jobsite-claimer", daemon=True)
        self._client = client
        self._leases = leases
        self._handback = handback
        self._kinds = kinds
        self._poll = Backoff(first=0.05, longest=poll_every)
        self._trouble = Backoff(first=min(0.5, poll_every), longest=LONGEST_OUTAGE_WAIT)
        self._poll_every = poll_every
        self._identity = identity
        self._version = version
        self._greeted = greeted
        self._on_ending = on_ending
        self._ending = threading.Event()
        self._paused = False

    def end(self) -> None:
        """Stop claiming. Jobs of a claim under way are handed back when they arrive. Close the leases before."""
        self._ending.set()

    def run(self) -> None:
        try:
            if self._hello():
                self._greeted()
                while (room := self._leases.reserve_when_idle()) is not None:
                    self._ending.wait(self._claim_once(room) if room else self._resolve())
        except Exception as error:
            log.exception("The bot cannot go on claiming.")
            self._on_ending(Ending(1, f"The bot cannot go on claiming: {error!r}"))

    def _hello(self, holds: list[tuple[JobId, int]] | None = None) -> bool:
        """Call hello until the server answers. False: stop.

        With a new instance ID, so that the server refuses what an older claim may still ask for.
        """
        instance = new_instance()
        while not self._ending.is_set():
            try:
                reply = self._client.hello(
                    instance,
                    identity=self._identity,
                    host=host_name(),
                    pid=os.getpid(),
                    version=self._version,
                    kinds=self._kinds,
                    holds=holds,
                    slots=self._leases.slots(),
                    retry_for=0,
                )
            except JobsiteError as error:
                if not isinstance(error, Unavailable) and (error.status or 0) < 500:
                    why = ending_for(error, self._client.instance)
                    self._on_ending(why or Ending(EXIT_REFUSED, f"The server refused this bot: {error.detail}"))
                    return False
                log.warning("Waiting for the server. %s", error.detail)
                self._ending.wait(self._trouble.next(getattr(error, "retry_after", None)))
            else:
                log.info("Said hello as %s; kinds: %s.", instance, ", ".join(self._kinds))
                if holds is None:
                    for warning in reply.get("warnings") or ():
                        log.warning("%s", warning)
                self._trouble.reset()
                if reply.get("restart"):
                    self._on_ending(RESTART)
                return True
        return False

    def _resolve(self) -> float:
        """Say what is held, so that the server releases what a lost answer gave. Returns the seconds to wait."""
        if not self._hello(self._leases.held()):
            return self._trouble.next()
        self._leases.forget_unknown()
        return 0.0

    def _claim_once(self, room: int) -> float:
        """Claim once, for the reserved room. Returns the seconds to wait before the next claim."""
        began = time.monotonic()
        try:
            claim = self._client.claim(room, kinds=self._kinds, wait=WAIT, slots=self._leases.slots(), retry_for=0)
        except Unavailable as error:
            if error.maybe_done:
                self._leases.lose(room)
            else:
                self._leases.settle(room)
            log.warning("No claim, will try again. %s", error.detail)
            return self._trouble.next(error.retry_after)
        except JobsiteError as error:
            self._leases.settle(room)
            ending = ending_for(error, self._client.instance)
            if ending:
                self._on_ending(ending)
            elif not self._ending.is_set():
                log.error("The server refused a claim, will try again: %s", error.detail)
            return self._trouble.next()
        self._trouble.reset()
        receive_jobs(self._leases, self._handback, room, claim.jobs)
        if claim.restart:
            self._on_ending(RESTART)
        return self._pause_after(claim, time.monotonic() - began)

    def _pause_after(self, claim: Claim, took: float) -> float:
        if claim.paused != self._paused:
            self._paused = claim.paused
            log.info("An operator paused this bot." if claim.paused else "This bot is no longer paused.")
        # The server may ask for a pause between long polls. Claims sent along with reports do not wait at the server.
        asked = spread(claim.retry_after or 0.0)
        if claim.jobs or took >= WAIT / 2:
            self._poll.reset()
            return asked
        # Answered at once: an old server, too many long polls, or no jobs for this bot at present.
        return max(jittered(max(self._poll_every, PAUSED_EVERY)) if claim.paused else self._poll.next(), asked)


def new_instance() -> str:
    """Generate a unique instance ID for this process."""
    # The random part makes it unique; the rest is for people.
    return f"{host_name()[:40]}-{os.getpid()}-{secrets.token_hex(6)}"


def host_name() -> str:
    """The name of this host, or pod. It is sent in a header, so it must be ASCII."""
    return socket.gethostname().encode("ascii", "ignore").decode()[:100]
