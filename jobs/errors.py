"""Errors about jobs and bots: the code, HTTP status and title of each. Pure."""

from datetime import datetime

from jobsite.lib.errors import Faulty, JobsiteError

#: What the refusals of operators' verbs have.
_OF_A_JOB = {"job_id": int, "job_status": str}


class NotReleasable(Faulty):
    """Nobody holds the job, so it cannot be released."""

    code, status, title = "not_releasable", 400, "The job is not held"
    field = "job_id"
    members = _OF_A_JOB


class NotCancellable(Faulty):
    """The job has ended, so it cannot be cancelled."""

    code, status, title = "not_cancellable", 400, "The job has ended"
    field = "job_id"
    members = _OF_A_JOB


class NotRetryable(Faulty):
    """The job is not failed or cancelled, so it cannot be retried."""

    code, status, title = "not_retryable", 400, "The job cannot be retried"
    field = "job_id"
    members = _OF_A_JOB


class KeyTaken(Faulty):
    """Another job has the key that this one would take again."""

    code, status, title = "key_taken", 409, "Another job has the key"
    field = "job_id"
    members = {"job_id": int}


class NotAcceptable(Faulty):
    """The job is not pending, or no late result is kept for it."""

    code, status, title = "not_acceptable", 400, "There is no late result to accept"
    field = "job_id"
    members = _OF_A_JOB


class NotEditable(Faulty):
    """The job is not pending, so it cannot be edited."""

    code, status, title = "not_editable", 400, "The job is not pending"
    field = "job_id"
    members = _OF_A_JOB


class NotTakenBack(JobsiteError):
    """The act is too old, or is none that can be taken back. Nothing was changed."""

    code, status, title = "not_taken_back", 409, "The act cannot be taken back"
    example = "Act 41 is older than 24 hours."


class LeaseLost(JobsiteError):
    """The lease is no longer this bot's. Nothing was changed; a result is kept with the job's history."""

    code, status, title = "lease_lost", 409, "The lease is no longer yours"
    members = {
        "ended_by": str | None, "ended_at": datetime | None, "reason": str | None, "verb": str | None,
        "job_id": int, "attempt": int, "cancel": bool,
    }  # fmt: skip
    example = (
        "Attempt 1 of job 17 was released by operator olga at 2026-11-05T09:04:10.108889Z: ada hangs. "
        "Nothing was changed."
    )


class TooManyDeferrals(JobsiteError):
    """The job was deferred too often. The bot holds it still: complete it, fail it or release it."""

    code, status, title = "too_many_deferrals", 409, "The job was deferred too often"
    members = {"job_id": int, "deferrals": int}


class InstanceReplaced(JobsiteError):
    """A newer instance of its identity has called hello, or it called goodbye itself; this one must stop."""

    code, status, title = "instance_replaced", 409, "A newer process of this bot has taken over"
    example = "Bot ada was started again as 'host7-4711-c3d4'. This process, 'host7-4711-a1b2', gets no more jobs."


class TooManyPending(JobsiteError):
    """Too many jobs are pending, of the kind or in all, so new ones are refused. Nothing was enqueued."""

    code, status, title = "too_many_pending", 429, "Too many jobs are pending"
    retry_after = 10
    members = {"kind": str | None, "pending": int, "new": int, "max_pending": int}


class NameTaken(JobsiteError):
    """Another bot has this name."""

    code, status, title = "name_taken", 409, "The name is taken"


class NothingToSkip(JobsiteError):
    """The schedule has no moment to come that could be skipped."""

    code, status, title = "nothing_to_skip", 400, "No moment is to come"
