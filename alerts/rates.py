"""Do more jobs fail than usual? A test on counts. Pure.

Two shares of failed jobs are compared: lately, and in the past. The lower end of Newcombe's hybrid score interval for
the difference of two proportions says how much larger the new share is at the least; it stands on Wilson's interval
for each of them, and holds for small counts and for shares near nought, where the usual formula does not
(R. G. Newcombe, "Interval estimation for the difference between independent proportions: comparison of eleven
methods", Statistics in Medicine 17 (1998), 873-890, method 10).
"""

from dataclasses import dataclass
from math import sqrt

#: How sure we are before we say so, in standard deviations. Where nothing has changed, fewer than one independent look
#: in ten thousand says otherwise (tests/alerts/test_rates.py).
SURE = 4.5
#: How sure we must be that it goes on. Lower, so that a share near the line does not flicker.
STILL = 2.0
#: Fewer ended or failed jobs than these prove nothing.
MIN_ENDED = 10
MIN_FAILED = 5
MIN_PAST = 50
#: What is significant and still no news: the share must have grown by this much, and to this many times what it was.
MIN_GROWTH = 0.05
MIN_TIMES = 2.0


@dataclass(frozen=True)
class Rate:
    """How many jobs ended, succeeded or failed, and how many of them failed."""

    failed: int
    ended: int

    @property
    def share(self) -> float:
        """Failed of ended, from 0 to 1; 0 when none ended."""
        return self.failed / self.ended if self.ended else 0.0

    def __str__(self) -> str:
        return f"{self.failed} of {self.ended} ({self.share * 100:.1f} %)"


def interval(rate: Rate, sure: float) -> tuple[float, float]:
    """Wilson's score interval for a share: between what and what it is, with so many standard deviations."""
    if not rate.ended:
        return 0.0, 1.0
    n, p, z2 = rate.ended, rate.share, sure * sure
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = sure * sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def growth(lately: Rate, past: Rate, sure: float) -> float:
    """By how much the share has grown at the least; below 0 when it may not have grown at all."""
    low, _ = interval(lately, sure)
    _, high = interval(past, sure)
    return lately.share - past.share - sqrt((lately.share - low) ** 2 + (high - past.share) ** 2)


def jumped(lately: Rate, past: Rate) -> bool:
    """Whether clearly more jobs fail than did: enough of both, surely more, and enough more to matter."""
    if lately.ended < MIN_ENDED or lately.failed < MIN_FAILED or past.ended < MIN_PAST:
        return False
    return _matters(lately, past) and growth(lately, past, SURE) > 0


def still_up(lately: Rate, past: Rate) -> bool:
    """Whether a jump goes on. `past` is what it was before the jump."""
    return _matters(lately, past) and growth(lately, past, STILL) > 0


def _matters(lately: Rate, past: Rate) -> bool:
    return lately.share - past.share >= MIN_GROWTH and lately.share >= MIN_TIMES * past.share
