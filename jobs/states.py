"""The states of a job, the verbs that move it, the actors, and the policies of kinds and schedules. Pure.

The database's CHECK constraints, the API's filters and the admin's are all built from these lists.
"""

from django.db.models import TextChoices


class JobStatus(TextChoices):
    """Where a job is in its life."""

    PENDING = "pending"
    CLAIMED = "claimed"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


#: A bot holds the job: `claimed_by` is set, and `(job, attempt)` names its lease.
HELD = (JobStatus.CLAIMED, JobStatus.PROCESSING)
#: The job has ended: `finished_at` is set.
FINISHED = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)
#: Nobody holds the job.
AT_REST = (JobStatus.PENDING, *FINISHED)
#: The job has not ended.
UNFINISHED = (JobStatus.PENDING, *HELD)


class Verb(TextChoices):
    """What a `JobEvent` records. `late` is a report that came after its lease had ended."""

    RELEASE = "release"
    EXPIRE = "expire"
    FAIL = "fail"
    RETRY = "retry"
    CANCEL = "cancel"
    FLAG = "flag"
    LATE = "late"
    ACCEPT = "accept"
    PRIORITISE = "prioritise"
    REPLACE = "replace"
    DEFER = "defer"
    DROP = "drop"
    EDIT = "edit"
    TAKE_BACK = "take_back", "take back"


class Actor(TextChoices):
    """Who caused an event."""

    OPERATOR = "operator"
    BOT = "bot"
    SWEEP = "sweep"


class Unique(TextChoices):
    """How long a job keeps its key: no other job of its kind gets the same key until then."""

    ALWAYS = "always", "always, until it is deleted"
    UNFINISHED = "unfinished", "until it has ended"
    PENDING = "pending", "until it is claimed for the first time"


class OnConflict(TextChoices):
    """What a new job does whose key another job has."""

    KEEP = "keep"
    REPLACE = "replace"


class Added(TextChoices):
    """What became of a new job: it was created, or another has its key and stays as it is, or got its content."""

    CREATED = "created"
    EXISTING = "existing"
    REPLACED = "replaced"


class Policy(TextChoices):
    """What the sweep does with a job whose bot is `unhealthy` because of it."""

    RELEASE = "release", "release (attempt counted)"
    FLAG = "flag", "flag only"
    FAIL = "fail", "fail"


class Overlap(TextChoices):
    """What becomes of an occurrence while a job of the same schedule has not ended."""

    SKIP = "skip", "skip it"
    ALLOW = "allow", "run both"
    QUEUE = "queue", "let one wait"


class CatchUp(TextChoices):
    """Which occurrences are made up for that could not be fired in time."""

    LAST = "last", "the last one"
    NONE = "none", "none"
    ALL = "all", "all"


class Fate(TextChoices):
    """What became of an occurrence. `waiting` is the only one that is not final."""

    ENQUEUED = "enqueued"
    WAITING = "waiting"
    SKIPPED = "skipped"
    MISSED = "missed"
    CAUGHT_UP = "caught_up", "caught up"


class ErrorStatus(TextChoices):
    """What operators have decided about an error group. One that is resolved and fails again is open."""

    OPEN = "open"
    RESOLVED = "resolved"
    IGNORED = "ignored"


class Span(TextChoices):
    """How much time one row of `JobRollup` covers, and of whom."""

    MINUTE = "minute"
    QUARTER = "quarter", "quarter of an hour"
    HOUR = "hour"
    BOT_HOUR = "bot_hour", "hour of one bot"
    BOT_DAY = "bot_day", "day of one bot"
    TOTAL = "total", "everything since the counters began, by the kind as /metrics has it"
