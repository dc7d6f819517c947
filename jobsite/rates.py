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
        elif self._addresses and (wait := self._addresses.take(client_address(environ), time.monotonic())):
            raise TooMany(
                f"Your address makes more than {self._per_address} calls a second without a valid token.", wait
            )

    def learn(self, environ: WSGIEnvironment, *, valid: bool) -> None:
        """Remember whether a call's token was valid."""
        if self._off or (digest := digest_of(environ)) is None:
            return
        if not valid:
            self._valid.pop(digest, None)
        elif digest not in self._valid:
            with self._lock:
                self._valid[digest] = None
                if len(self._valid) > MOST:
                    self._valid.popitem(last=False)


rates = Rates(settings.RATE_PER_TOKEN, settings.RATE_PER_ADDRESS)
