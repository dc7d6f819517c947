"""The errors that any call can end with: code, HTTP status and title of each. Pure."""

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


class ServerError(JobsiteError):
    """Our fault. The log has the traceback."""

    code, status, title = "server_error", 500, "The server failed"


class Unavailable(JobsiteError):
    """The database cannot be reached just now; the same call may be made again."""

    code, status, title = "unavailable", 503, "The server cannot answer just now"
