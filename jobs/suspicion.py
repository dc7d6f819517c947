"""How long a job is for another instance first, and when one in quarantine is probed. Pure."""

from datetime import timedelta

#: How long a job that expired under an instance is for others first, while there is another that is well.
OTHERS_FIRST = timedelta(seconds=60)
#: The same of one that an operator releases to another.
TO_ANOTHER = timedelta(minutes=10)
#: In quarantine it gets one job after the first of these, and then after twice as long each time, up to the other.
FIRST_PROBE, LONGEST_PROBE = timedelta(seconds=10), timedelta(hours=1)
#: More doublings than these make no difference.
MAX_DOUBLINGS = 9
