"""Calculate and format the figures of the bench. Pure."""

import math
from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` percent of `values` do not exceed (nearest rank)."""
    if not values:
        raise ValueError("There is no percentile of nothing.")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share / 100 * len(ordered)) - 1)]


def median(values: Sequence[float]) -> float:
    """Return the middle value, or the mean of the two in the middle."""
    if not values:
        raise ValueError("There is no median of nothing.")
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def rate(jobs: int, seconds: float) -> float:
    """Return jobs per second."""
    if seconds <= 0:
        raise ValueError(f"{jobs} jobs in {seconds} s cannot be.")
    return jobs / seconds


def ratio(ours: float | None, theirs: float | None) -> float | None:
    """Return `ours` as a multiple of `theirs`; None where one of them was not measured."""
    return ours / theirs if ours is not None and theirs else None


def spread(values: Sequence[float]) -> float:
    """Return the spread of repeated figures: (greatest - least) / median."""
    return (max(values) - min(values)) / median(values) if median(values) else 0.0


def figure(value: float | None, digits: int = 3) -> str:
    """Format a number: three significant digits, thousands apart, `–` for what was not measured."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, places)
    return f"{rounded:,.{max(0, places)}f}".replace(",", " ")


def size(count: int) -> str:
    """Format bytes as MB."""
    return f"{figure(count / 1_000_000)} MB"
