"""The delay before the next attempt. Pure: the kind's `backoff` is the unit, this is the factor.

Of a job it is reckoned where its row is, by the same figures (`backoff.sql` of the lifecycle), from the attempts that
were used: one that was released does not count.
"""

import random

#: Doubling stops here: 2 ** 10 is 1 024 times the kind's backoff.
MAX_DOUBLINGS = 10
#: Each delay is spread by up to this share either way, so that jobs which failed together do not return together.
JITTER = 0.25


def factor(attempt: int, draw: float | None = None) -> float:
    """How many times the kind's `backoff` to wait after `attempt` (from 1) has failed.

    Exponential backoff with jitter in proportion: `2 ** (attempt - 1)`, spread by ±25 %. `draw` in [0, 1) fixes it.
    """
    draw = random.random() if draw is None else draw  # noqa: S311  spreads load, keeps no secret
    return float(2 ** min(max(attempt - 1, 0), MAX_DOUBLINGS)) * (1 + JITTER * (2 * draw - 1))
