"""Count calls by who makes them, with a token bucket for each. Pure: moments are arguments."""

import math
import threading
from collections import OrderedDict
from collections.abc import Hashable


class Buckets:
    """A bucket for each name: `rate` calls a second, and at first, or after a pause, `burst` of them at once.

    Keeps the `most` names that called last, so that names somebody invents take no memory.
    """

    def __init__(self, rate: float, burst: float, most: int = 10_000) -> None:
        self._rate, self._burst, self._most = rate, burst, most
        #: What is left in each bucket, and when that was.
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, name: Hashable, now: float) -> int:
        """Take one call of `name`. Returns 0, or after how many seconds to try again."""
        with self._lock:
            left = self._left(name, now)
            self._buckets[name] = (left - 1 if left >= 1 else left, now)
            self._buckets.move_to_end(name)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        return self._wait(left)

    def wait(self, name: Hashable, now: float) -> int:
        """Return what `take` would, and take nothing."""
        with self._lock:
            return self._wait(self._left(name, now))

    def _left(self, name: Hashable, now: float) -> float:
        left, at = self._buckets.get(name, (self._burst, now))
        return min(self._burst, left + (now - at) * self._rate)

    def _wait(self, left: float) -> int:
        return 0 if left >= 1 else max(1, math.ceil((1 - left) / self._rate))
