"""Do more jobs fail than usual? A test on counts. Pure.

Two shares of failed jobs are compared: lately, and in the past (`jobsite.lib.proportions`).
"""

from jobsite.lib.proportions import Share, newcombe_growth

#: How sure we are before we say so, in standard deviations. Where nothing has changed, fewer than one independent look
#: in ten thousand says otherwise (tests/alerts/incidents/test_failure_rate.py).
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


def jumped(lately: Share, past: Share) -> bool:
    """Whether clearly more jobs fail than did: enough of both, surely more, and enough more to matter."""
    if lately.ended < MIN_ENDED or lately.failed < MIN_FAILED or past.ended < MIN_PAST:
        return False
    return _matters(lately, past) and newcombe_growth(lately, past, SURE) > 0


def still_up(lately: Share, past: Share) -> bool:
    """Whether a jump goes on. `past` is what it was before the jump."""
    return _matters(lately, past) and newcombe_growth(lately, past, STILL) > 0


def _matters(lately: Share, past: Share) -> bool:
    return lately.share - past.share >= MIN_GROWTH and lately.share >= MIN_TIMES * past.share
