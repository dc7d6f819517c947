"""How long to wait before trying again. Pure: no clock, and randomness comes in as an argument."""

import random
from collections.abc import Callable


class Backoff:
    """Delays that double from `first` to `longest` seconds, each with jitter.

    A delay lies between half and the whole of its step, so that many bots that lost the same server do not all
    come back in the same moment.
    """

    def __init__(self, first: float, longest: float, chance: Callable[[], float] = random.random) -> None:
        self._first = min(first, longest)
        self._longest = longest
        self._chance = chance
        self._step = self._first

    def next(self, at_least: float | None = None) -> float:
        """The delay to wait now, in seconds, never less than `at_least`; the one after it will be longer."""
        step, self._step = self._step, min(self._step * 2, self._longest)
        return max(jittered(step, self._chance), spread(at_least or 0.0, self._chance))

    def reset(self) -> None:
        """Start again from the first delay: something worked."""
        self._step = self._first


def jittered(seconds: float, chance: Callable[[], float] = random.random) -> float:
    """A random time between half of `seconds` and all of it."""
    return seconds * (0.5 + 0.5 * chance())


def spread(seconds: float, chance: Callable[[], float] = random.random) -> float:
    """A random time from `seconds` to a quarter more: for what the server asks for, which is never cut short."""
    return seconds * (1.0 + 0.25 * chance())
