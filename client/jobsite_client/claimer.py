"""A bot's life on the server, and its idle time: one thread that says hello and then waits for jobs."""

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
from .exchanger import take_in
from .handback import HandBack
from .leases import Leases
from .messages import Claim

log = logging.getLogger("jobsite_client")

# Seconds for which the server may hold a claim open.
WAIT = 20.0
# The same for a bot of several processes. It cannot take back a claim at its end, so it waits for the answer then.
WAIT_SHARED = 4.0
# Seconds between claims of a paused bot: often enough to notice its resumption, seldom enough not to matter.
PAUSED_EVERY = 5.0
LONGEST_OUTAGE_WAIT = 15.0
# Seconds for which a bot that has lost a claim's answer takes nothing new, so as to hold nothing and say hello.
DRAIN_FOR = 60.0
# Seconds of a bot's last words: see `Claimer.farewell`.
FAREWELL_WITHIN = 2.0
# A kind of which there are no jobs.
NO_KIND = "jobsite-client/none"


class Claimer(threading.Thread):
    """Says hello, then claims whenever there is room and no report to carry a claim along, until `end()`.

    The server holds these claims open until there is a job. Reports that come up meanwhile are the `Exchanger`'s,
    on a connection of their own. `greeted` is called once, after the first hello.
    """

    def __init__(
        self,
        client: Client,
        leases: Leases,
        handback: HandBack,
        *,
        kinds: Sequence[str],
        poll_every: float,
        alone: bool,
        version: str,
        greeted: Callable[[], None],
        tell: Callable[[Ending], None],
    ) -> None:
        super().__init__(name="jobsite-claimer", daemon=True)
        self._client = client
        self._leases = leases
        self._handback = handback
        self._kinds = kinds
        self._wait = WAIT if alone else WAIT_SHARED
        self._poll = Backoff(first=0.05, longest=poll_every)
        self._trouble = Backoff(first=min(0.5, poll_every), longest=LONGEST_OUTAGE_WAIT)
        self._poll_every = poll_every
        self._alone = alone
        self._version = version
        self._greeted = greeted
        self._tell = tell
        self._ending = threading.Event()
        self._asking = False
        self._paused = False

    def end(self) -> None:
        """Claim no more. A claim that is on its way is handed back when it arrives. Close the leases before."""
        self._ending.set()

    def run(self) -> None:
        try:
            if self._hello():
                self._greeted()
                while room := self._leases.reserve_when_idle():
                    self._ending.wait(self._turn(room))
        except Exception as error:
            log.exception("The bot cannot go on claiming.")
            self._tell(Ending(1, f"The bot cannot go on claiming: {error!r}"))

    def _hello(self) -> bool:
        """Begin a life under a new name, however long the server takes to be there. False: do not go on."""
        instance = new_instance()
        while not self._ending.is_set():
            try:
                self._client.hello(instance, version=self._version, alone=self._alone, retry_for=0)
            except JobsiteError as error:
                if not isinstance(error, Unavailable) and (error.status or 0) < 500:
                    why = ending_for(error, instance)
                    self._tell(why or Ending(EXIT_REFUSED, f"The server refused this bot: {error.detail}"))
                    return False
                log.warning("Waiting for the server. %s", error.detail)
                self._ending.wait(self._trouble.next(getattr(error, "retry_after", None)))
            else:
                log.info("Said hello as %s; kinds: %s.", instance, ", ".join(self._kinds))
                self._trouble.reset()
                return True
        return False

    def _turn(self, room: int) -> float:
        """Claim once, for the room promised to us. Returns how long to wait before the next time, in seconds."""
        # The answer to an earlier claim was lost, and with it the names of the jobs it gave us. A new hello gives
        # back what this bot holds, which is right only while it holds nothing that it knows of.
        if self._alone and self._leases.only_unknown(room):
            if not self._hello():
                self._leases.settle(room)
                return 0.0
            self._leases.forget_unknown()
        began = time.monotonic()
        self._asking = True
        try:
            claim = self._client.claim(room, kinds=self._kinds, wait=self._wait, retry_for=0)
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
                self._tell(ending)
            elif not self._ending.is_set():
                log.error("The server refused a claim, will try again: %s", error.detail)
            return self._trouble.next()
        finally:
            self._asking = False
        self._trouble.reset()
        take_in(self._leases, self._handback, room, claim.jobs)
        if claim.restart:
            self._tell(RESTART)
        return self._pause_after(claim, time.monotonic() - began)

    def _pause_after(self, claim: Claim, took: float) -> float:
        if claim.paused != self._paused:
            self._paused = claim.paused
            log.info("An operator paused this bot." if claim.paused else "This bot is no longer paused.")
        # The server may ask for a pause of this thread's claims, which it holds open. Those that reports carry along
        # cost it no place to wait in, and with each there is new room.
        asked = spread(claim.retry_after or 0.0)
        if claim.jobs or took >= self._wait / 2:
            self._poll.reset()
            return asked
        # Not held open: a server of old, one where too many wait, or one that has nothing for this bot just now.
        return max(jittered(max(self._poll_every, PAUSED_EVERY)) if claim.paused else self._poll.next(), asked)

    # --- The end --------------------------------------------------------------------------------------------------

    def farewell(self) -> None:
        """Make sure that a claim still under way at the server brings this bot nothing: it would be held in vain.

        Call it when everything has been handed back. A hello under a new name makes the server refuse the old
        name's claims, and give back what they got. It must not throw out a process that has taken over from this
        one, so a claim that can bring nothing asks first whether there is one.
        """
        if not (self._alone and self._asking):
            return
        last_words = threading.Thread(target=self._say_farewell, name="jobsite-farewell", daemon=True)
        last_words.start()
        last_words.join(FAREWELL_WITHIN)

    def _say_farewell(self) -> None:
        try:
            self._client.claim(1, kinds=[NO_KIND], retry_for=0)
            self._client.hello(new_instance(), version=self._version, retry_for=0)
        except JobsiteError as error:
            log.info("A claim was still under way at the end, and could not be called off. %s", error.detail)


def new_instance() -> str:
    """A name for a life of this process, which nobody has had before."""
    # It travels in a header, so it has to be ASCII; the random part makes it unique, the rest is for people.
    host = socket.gethostname().encode("ascii", "ignore").decode()[:40]
    return f"{host}-{os.getpid()}-{secrets.token_hex(6)}"
