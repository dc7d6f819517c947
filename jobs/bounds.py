"""How long and how large the fields of jobs, kinds and schedules may be. Pure."""

from datetime import timedelta

KEY_LENGTH = 200
NOTE_LENGTH = 500
REASON_LENGTH = 500
PRIORITY_LIMIT = 1_000_000
MAX_ATTEMPTS_LIMIT = 1000
#: A hundred years. Three times as long before or after now is still a date that every part can represent.
MAX_DURATION = timedelta(days=36_500)
#: With ten doublings and jitter (jobs/backoff.py) it is less than MAX_DURATION.
MAX_BACKOFF = timedelta(days=28)
GROUP_LENGTH = 100
#: How many jobs of a kind or group may be held at most: they are counted at each claim.
MAX_HELD_LIMIT = 10_000
RATE_LIMIT = 1_000_000
MAX_RATE_PERIOD = timedelta(days=1)
#: Starts are counted by parts of the rate's period (jobs/lifecycle/sql/functions/jobs_rate.sql).
RATE_SLOTS = 60
#: For how many seconds a call may shut a gate.
MAX_THROTTLE = 3600
