"""Every error the job server tells people and bots of: its code, its HTTP status, its message. Pure."""

from typing import Any


class JobsiteError(Exception):
    """Something was refused. `code` and `status` are part of the API; `extra` are further members of the problem."""

    code = "error"
    status = 400
    title = "The request was refused"

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra


class BadRequest(JobsiteError):
    """The body is not JSON in UTF-8."""

    code, status, title = "bad_request", 400, "The request cannot be read"


class Unauthorized(JobsiteError):
    """No token, an unknown one or a revoked one."""

    code, status, title = "unauthorized", 401, "A valid token is needed"


class Forbidden(JobsiteError):
    """The token is good, but not for this."""

    code, status, title = "forbidden", 403, "Not allowed"


class NotFound(JobsiteError):
    """There is no such thing."""

    code, status, title = "not_found", 404, "Not found"


class MethodNotAllowed(JobsiteError):
    """The path is there; this method is not."""

    code, status, title = "method_not_allowed", 405, "Method not allowed"


class LengthRequired(JobsiteError):
    """A body in chunks without anything that tells its end from a broken connection."""

    code, status, title = "length_required", 411, "The length is needed"


class TooLarge(JobsiteError):
    """The body is larger than the server takes."""

    code, status, title = "too_large", 413, "Too large"


class Invalid(JobsiteError):
    """A field is missing, of the wrong type, too long or unknown. `errors` lists `{field, message}`."""

    code, status, title = "invalid", 422, "A field is not valid"


class NotReleasable(JobsiteError):
    """Nobody holds the job, so it cannot be released."""

    code, status, title = "not_releasable", 400, "The job is not held"


class NotCancellable(JobsiteError):
    """The job has ended, so it cannot be cancelled."""

    code, status, title = "not_cancellable", 400, "The job has ended"


class NotRetryable(JobsiteError):
    """The job is not failed or cancelled, so it cannot be retried."""

    code, status, title = "not_retryable", 400, "The job cannot be retried"


class NotAcceptable(JobsiteError):
    """The job is not pending, or no late result is kept for it."""

    code, status, title = "not_acceptable", 400, "There is no late result to accept"


class LeaseLost(JobsiteError):
    """The lease is no longer this bot's. Nothing was changed; a result is kept with the job's history."""

    code, status, title = "lease_lost", 409, "The lease is no longer yours"


class InstanceReplaced(JobsiteError):
    """A newer process of the same bot said hello and is alone; this one must stop."""

    code, status, title = "instance_replaced", 409, "A newer process of this bot has taken over"


class NameTaken(JobsiteError):
    """Another bot has this name."""

    code, status, title = "name_taken", 409, "The name is taken"


class ServerError(JobsiteError):
    """Our fault. The log has the traceback."""

    code, status, title = "server_error", 500, "The server failed"


class Unavailable(JobsiteError):
    """The database cannot be reached just now; the same call may be made again."""

    code, status, title = "unavailable", 503, "The server cannot answer just now"
