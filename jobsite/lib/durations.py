"""Format durations."""

from datetime import timedelta
from functools import lru_cache


def words(age: timedelta) -> str:
    """Format an age: `45 s`, `6 m 10 s`, `2 h 5 m`, `3 d 4 h`."""
    return _words(max(0, int(age.total_seconds())))


@lru_cache(maxsize=4096)
def _words(seconds: int) -> str:
    units = [("d", seconds // 86400), ("h", seconds // 3600 % 24), ("m", seconds // 60 % 60), ("s", seconds % 60)]
    first = next((i for i, (_, n) in enumerate(units) if n), len(units) - 1)
    return " ".join(f"{n} {unit}" for unit, n in units[first : first + 2] if n) or "0 s"


def between(low: timedelta, high: timedelta) -> str:
    """Format a range of ages, each in its largest unit: `6 to 9 m`, `50 s to 2 m`, `4 h`."""
    first, last = words(low).split()[:2], words(high).split()[:2]
    if first == last:
        return " ".join(last)
    return f"{first[0] if first[1] == last[1] else ' '.join(first)} to {' '.join(last)}"
