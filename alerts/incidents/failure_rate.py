"""Test whether clearly more jobs fail than usual. Pure.

Compares two shares of failed jobs, recent and past (`jobsite.lib.proportions`).
"""

from jobsite.lib.proportions import Share, newcombe_growth

#: The confidence that opens an incident, in standard deviations. With an unchanged rate, fewer than one independent
#: check in ten thousand raises a false alarm (tests/alerts/incidents/test_failure_rate.py).
OPEN_CONFIDENCE = 4.5
#: The confidence that keeps it open. Lower, so that a share near the limit does not flap.
STAY_OPEN_CONFIDENCE = 2.0
#: The least numbers of finished and failed jobs that are compared at all.
MIN_ENDED = 10
MIN_FAILED = 5
MIN_PAST = 50
#: The least growth that is reported, however significant: by this difference, and by this factor.
MIN_GROWTH = 0.05
MIN_FACTOR = 2.0


def jumped(recent: Share, past: Share) -> bool:
    """Whether the failure rate rose: enough jobs of both, a significant rise, and a rise worth reporting."""
    if recent.ended < MIN_ENDED or recent.failed < MIN_FAILED or past.ended < MIN_PAST:
        return False
    return _worth_reporting(recent, past) and newcombe_growth(recent, past, OPEN_CONFIDENCE) > 0


def still_up(recent: Share, past: Share) -> bool:
    """Whether a raised rate persists. `past`: the rate before it rose."""
    return _worth_reporting(recent, past) and newcombe_growth(recent, past, STAY_OPEN_CONFIDENCE) > 0


def _worth_reporting(recent: Share, past: Share) -> bool:
    return recent.share - past.share >= MIN_GROWTH and recent.share >= MIN_FACTOR * past.share
