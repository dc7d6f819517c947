"""Record whose new jobs were refused because too many are pending. The incident about it names them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from time import monotonic

from jobs.enqueue.statements import run
from jobs.errors import TooManyPending
from jobsite.lib import outcomes

#: Seconds between two writes about the same caller and kind: a producer in a loop must not write at each call.
WRITE_EVERY = 5.0
#: A caller that was not refused for so long begins again.
PAUSE = timedelta(minutes=5)
#: How many callers a process remembers.
MAX_REMEMBERED = 10_000

Caller = tuple[str, str, str]


class _Refusals:
    """Calls that were refused and are not written yet. Thread-safe."""

    def __init__(self) -> None:
        self._calls: dict[Caller, int] = {}
        self._written_at: dict[Caller, float] = {}
        self._lock = threading.Lock()

    def take(self, caller: Caller) -> int:
        """Count one more call. Returns how many to write now, perhaps none."""
        with self._lock:
            if len(self._written_at) >= MAX_REMEMBERED:
                self._calls.clear()
                self._written_at.clear()
            calls = self._calls.get(caller, 0) + 1
            written_at = self._written_at.get(caller)
            if written_at is not None and monotonic() - written_at < WRITE_EVERY:
                self._calls[caller] = calls
                return 0
            self._calls[caller] = 0
            self._written_at[caller] = monotonic()
            return calls


@contextmanager
def recorded(by: str, key: str = "") -> Iterator[None]:
    """Record it when new jobs of this user, or command, are refused here. `key`: the API key in words."""
    try:
        yield
    except TooManyPending as error:
        kind = error.extra["kind"] or ""
        calls = refused.take((kind, by, key))
        # The refusal is the answer, whether it could be recorded or not.
        with suppress(*outcomes.ERRORS):
            if calls:
                run("refused", kind=kind, by=by, key=key, calls=calls, pause=PAUSE)
        raise


refused = _Refusals()
