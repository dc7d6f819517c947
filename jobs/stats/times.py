"""The edges of the buckets of run and wait times: on Home, on /metrics, for learned limits, and in the rollup. Pure."""

import math

from jobsite.lib.histogram import Buckets

#: How far a learned run time may be from the real one, as a share.
ERROR = 0.05
#: How much longer each bucket reaches than the one before.
RATIO = (1 + ERROR) / (1 - ERROR)
#: The first bucket reaches to here, in seconds; the last one to at least thirty days.
SHORTEST, LONGEST = 0.01, 30 * 86_400.0
#: How many buckets learned limits have.
LEARNED_BUCKETS = math.ceil(math.log(LONGEST / SHORTEST, RATIO)) + 1

LEARNED = Buckets(tuple(SHORTEST * RATIO**bucket for bucket in range(LEARNED_BUCKETS - 1)))
HOME = Buckets(tuple(0.1 * 2**step for step in range(18)))
METRICS = Buckets((0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0))

#: What the rollup keeps: all edges of the three, so that each of them is exact. Rows name these buckets by their
#: numbers: a new edge needs a migration that renumbers them.
FINE = Buckets.finer_than(LEARNED, HOME, METRICS)
