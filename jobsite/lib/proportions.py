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


def wilson(part: int, total: int, deviations: float) -> tuple[float, float]:
    """Wilson's score interval for a share, from 0 to 1, with so many standard deviations; (0, 1) of nothing.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927), 209-212. It
    holds for shares near 0 and for small counts, where the usual one does not (Brown, Cai, DasGupta, "Interval
    estimation for a binomial proportion", Statistical Science 16 (2001), 101-133).
    """
    if total == 0:
        return 0.0, 1.0
    share, square = part / total, deviations * deviations / total
    middle = share + square / 2
    half = deviations * sqrt(share * (1 - share) / total + square / (4 * total))
    low, high = (middle - half) / (1 + square), (middle + half) / (1 + square)
    # Exactly 0 and 1 at the ends: there the two parts are equal but for rounding.
    return (0.0 if part == 0 else low), (1.0 if part == total else high)


def newcombe_growth(lately: Share, past: Share, sure: float) -> float:
    """Return by how much the share has grown at the least; below 0 when it may not have grown."""
    low, _ = wilson(lately.failed, lately.ended, sure)
    _, high = wilson(past.failed, past.ended, sure)
    return lately.share - past.share - sqrt((lately.share - low) ** 2 + (high - past.share) ** 2)
