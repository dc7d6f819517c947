/* Backoff: how long job j of kind k waits for its next attempt; see jobs/backoff.py. */
LEAST(COALESCE(j.backoff, k.backoff) * ((2 ^ LEAST(GREATEST({attempt_number} - j.uncounted - 1, 0), {doublings}))
                                        * (1 + {jitter} * (2 * random() - 1))), k.backoff_max)
