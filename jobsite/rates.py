"""Bound how many calls one token, and one address without a valid token, may make of this process in a second."""

import threading
import time
from collections import OrderedDict
from wsgiref.types import WSGIEnvironment

from django.conf import settings

from bots.auth import digest_of
from jobsite import probes
from jobsite.lib.addresses import client_address
from jobsite.lib.buckets import Buckets
from jobsite.lib.errors import TooMany

#: A bucket holds what may be called in so many seconds.
BURST_SECONDS = 10
#: How many valid tokens a process remembers.
MOST = 10_000


class Rates:
    """The calls of this process. A rate of 0 is off."""

    def __init__(self, per_token: int, per_address: int) -> None:
        self._tokens = Buckets(per_token, per_token * BURST_SECONDS, MOST) if per_token else None
        self._addresses = Buckets(per_address, per_address * BURST_SECONDS, MOST) if per_address else None
        self._per_token, self._per_address = per_token, per_address
        self._off = not per_token and not per_address
        self._lock = threading.Lock()
        #: Digests of tokens that were valid at their last call, so that strangers do not use up their address's rate.
        self._valid: OrderedDict[bytes, None] = OrderedDict()

    def check(self, environ: WSGIEnvironment) -> None:
        """Raise TooMany for a call too many. Probes and static files are not counted."""
        path = environ["PATH_INFO"]
        if self._off or path in probes.PATHS or path.startswith(settings.STATIC_URL):
            return
        digest = digest_of(environ)
        if digest in self._valid:
            if self._tokens and (wait := self._tokens.take(digest, time.monotonic())):
                raise TooMany(f"This token makes more than {self._per_token} calls a second.", wait)
        elif wait := self._wait_of_address(environ, digest):
            raise TooMany(
                f"Your address makes more than {self._per_address} calls a second without a valid token.", wait
            )

    def _wait_of_address(self, environ: WSGIEnvironment, digest: bytes | None) -> int:
        """Count the call of a stranger. One with a token is counted unless that proves valid (`learn`).

        So a fleet behind one address, whose tokens this process has not seen, is not refused when the process starts.
        """
        if self._addresses is None:
            return 0
        ask = self._addresses.take if digest is None else self._addresses.wait
        return ask(client_address(environ), time.monotonic())

    def learn(self, environ: WSGIEnvironment, *, valid: bool | None) -> None:
        """Remember whether a call's token was valid. None: the call was answered without asking whose it is."""
        if self._off or (digest := digest_of(environ)) is None:
            return
        with self._lock:
            if valid and digest not in self._valid:
                self._valid[digest] = None
                if len(self._valid) > MOST:
                    self._valid.popitem(last=False)
            elif valid is False:
                self._valid.pop(digest, None)
        if not valid and self._addresses and digest not in self._valid:
            self._addresses.take(client_address(environ), time.monotonic())


rates = Rates(settings.RATE_PER_TOKEN, settings.RATE_PER_ADDRESS)
