"""Compute the delay before the next attempt. Pure: the kind's `backoff` is the unit, this is the factor.

For a job it is computed in SQL with the same constants (`backoff.sql` of the lifecycle), from the attempts used: one
that was released does not count.
"""

import random

#: Doubling stops here: 2 ** 10 is 1 024 times the kind's backoff.
MAX_DOUBLINGS = 10
#: Each delay varies by up to this share either way: jobs that failed at the same time are not due at the same time.
JITTER = 0.25


def factor(attempt: int, draw: float | None = None) -> float:
    """How many times the kind's `backoff` to wait after `attempt` (from 1) has failed.

    Exponential backoff with jitter in proportion: `2 ** (attempt - 1)`, spread by ±25 %. `draw` in [0, 1) fixes it.
    """
    draw = random.random() if draw is None else draw  # noqa: S311  spreads load, keeps no secret
    return float(2 ** min(max(attempt - 1, 0), MAX_DOUBLINGS)) * (1 + JITTER * (2 * draw - 1))
