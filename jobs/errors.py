"""Errors about jobs and bots: the code, HTTP status and title of each. Pure."""

from jobsite.lib.errors import Faulty, JobsiteError


class NotReleasable(Faulty):
    """Nobody holds the job, so it cannot be released."""

    code, status, title = "not_releasable", 400, "The job is not held"
    field = "job_id"


class NotCancellable(Faulty):
    """The job has ended, so it cannot be cancelled."""

    code, status, title = "not_cancellable", 400, "The job has ended"
    field = "job_id"


class NotRetryable(Faulty):
    """The job is not failed or cancelled, so it cannot be retried."""

    code, status, title = "not_retryable", 400, "The job cannot be retried"
    field = "job_id"


class KeyTaken(Faulty):
    """Another job has the key that this one would take again."""

    code, status, title = "key_taken", 409, "Another job has the key"
    field = "job_id"


class NotAcceptable(Faulty):
    """The job is not pending, or no late result is kept for it."""

    code, status, title = "not_acceptable", 400, "There is no late result to accept"
    field = "job_id"


class LeaseLost(JobsiteError):
    """The lease is no longer this bot's. Nothing was changed; a result is kept with the job's history."""

    code, status, title = "lease_lost", 409, "The lease is no longer yours"


class TooManyDeferrals(JobsiteError):
    """The job was deferred too often. The bot holds it still: complete it, fail it or release it."""

    code, status, title = "too_many_deferrals", 409, "The job was deferred too often"


class InstanceReplaced(JobsiteError):
    """A newer instance of its identity has called hello, or it called goodbye itself; this one must stop."""

    code, status, title = "instance_replaced", 409, "A newer process of this bot has taken over"


class TooManyPending(JobsiteError):
    """Too many jobs are pending, of the kind or in all, so new ones are refused. Nothing was enqueued."""

    code, status, title = "too_many_pending", 429, "Too many jobs are pending"
    retry_after = 10


class NameTaken(JobsiteError):
    """Another bot has this name."""

    code, status, title = "name_taken", 409, "The name is taken"


class NothingToSkip(JobsiteError):
    """The schedule has no moment to come that could be skipped."""

    code, status, title = "nothing_to_skip", 400, "No moment is to come"
