"""Compare shares of counts: Wilson's interval and Newcombe's for a difference. Pure.

The lower end of Newcombe's hybrid score interval for the difference of two proportions says how much larger the new
share is at the least; it stands on Wilson's interval for each of them, and holds for small counts and for shares near
zero, where the usual formula does not (R. G. Newcombe, "Interval estimation for the difference between independent
proportions: comparison of eleven methods", Statistics in Medicine 17 (1998), 873-890, method 10).
"""

from dataclasses import dataclass
from math import sqrt


@dataclass(frozen=True)
class Share:
    """How many jobs ended, succeeded or failed, and how many of them failed."""

    failed: int
    ended: int

    @property
    def share(self) -> float:
        """Failed of ended, from 0 to 1; 0 when none ended."""
        return self.failed / self.ended if self.ended else 0.0

    def __str__(self) -> str:
        return f"{self.failed} of {self.ended} ({self.share * 100:.1f} %)"


def wilson_interval(rate: Share, sure: float) -> tuple[float, float]:
    """Return Wilson's score interval of a share, `sure` standard deviations wide."""
    if not rate.ended:
        return 0.0, 1.0
    n, p, z2 = rate.ended, rate.share, sure * sure
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = sure * sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def newcombe_growth(lately: Share, past: Share, sure: float) -> float:
    """Return by how much the share has grown at the least; below 0 when it may not have grown."""
    low, _ = wilson_interval(lately, sure)
    _, high = wilson_interval(past, sure)
    return lately.share - past.share - sqrt((lately.share - low) ** 2 + (high - past.share) ** 2)
