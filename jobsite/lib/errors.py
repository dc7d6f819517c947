"""Define the errors that any call can end with: code, HTTP status and title of each. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, NotRequired


class JobsiteError(Exception):
    """A request was refused. `code` and `status` are part of the API; `extra` are further members of the problem."""

    code = "error"
    status = 400
    title = "The request was refused"
    #: Seconds after which the same call may be made again; 0: no such header.
    retry_after = 0
    #: What `extra` has, by name: the type of each member.
    members: ClassVar[dict[str, Any]] = {}
    #: A detail as it may be, for the docs; empty: the docstring of the class says it.
    example = ""

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra


class Faulty(JobsiteError):
    """What was sent is not right, or not for now. `errors` lists `{field, message}`: about `field`, or those given."""

    #: The field that the error is about, where none is named.
    field = "body"

    def __init__(self, detail: str, *, field: str = "", **extra: Any) -> None:
        extra.setdefault("errors", [{"field": field or self.field, "message": detail}])
        super().__init__(detail, **extra)


class BadRequest(Faulty):
    """The body is not JSON in UTF-8, or broke off; or the header `Host` is wrong."""

    code, status, title = "bad_request", 400, "The request cannot be read"


class Unauthorized(JobsiteError):
    """No token, an unknown one or a revoked one."""

    code, status, title = "unauthorized", 401, "A valid token is needed"


class KeyExpired(Unauthorized):
    """The API key was good until a moment that has passed."""

    code, title = "key_expired", "The key has expired"


class Forbidden(JobsiteError):
    """The token is good, but not for this."""

    code, status, title = "forbidden", 403, "Not allowed"


class NotFound(JobsiteError):
    """The path or the object does not exist."""

    code, status, title = "not_found", 404, "Not found"


class MethodNotAllowed(JobsiteError):
    """The path exists, but not with this method."""

    code, status, title = "method_not_allowed", 405, "Method not allowed"


class BodyTimeout(JobsiteError):
    """The body did not come in time."""

    code, status, title = "body_timeout", 408, "The body did not come in time"


class LengthRequired(JobsiteError):
    """A chunked body, whose end looks like that of a broken connection."""

    code, status, title = "length_required", 411, "The length is needed"


class TooLarge(JobsiteError):
    """The body is larger than the server takes."""

    code, status, title = "too_large", 413, "Too large"


class Invalid(Faulty):
    """A field is missing, of the wrong type, too long or unknown."""

    code, status, title = "invalid", 422, "A field is not valid"
    #: How many lines of NDJSON or CSV are bad; `errors` has the first of them.
    members = {"bad": NotRequired[int]}

    @classmethod
    def about(cls, field: str, message: str) -> "Invalid":
        """The error of one field, or of one parameter of a query."""
        return cls.about_fields({field: [message]})

    @classmethod
    def about_fields(cls, faults: Mapping[str, Iterable[str]]) -> "Invalid":
        """The error of these fields, each with its messages, as Django's forms and models have them."""
        errors = [{"field": field, "message": " ".join(messages)} for field, messages in faults.items()]
        return cls("; ".join(f"{error['field']}: {error['message']}" for error in errors), errors=errors)


class TooMany(JobsiteError):
    """More calls than one token, or one address without a valid token, may make."""

    code, status, title = "too_many_requests", 429, "Too many requests"
    #: Unless the rate says another.
    retry_after = 1

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class TooSlow(Faulty):
    """The database took too long to find what was asked for. Ask for less."""

    code, status, title = "too_slow", 400, "This takes too long"
    field = "query"


class ServerError(JobsiteError):
    """A fault of the server. The log has it; whether the call was carried out is not known."""

    code, status, title = "server_error", 500, "The server failed"


class Unavailable(JobsiteError):
    """The database cannot be reached, or refused the call. Nothing was done, and the same call may be retried."""

    code, status, title = "unavailable", 503, "The server cannot answer just now"
    retry_after = 1


class OutcomeUnknown(JobsiteError):
    """The database's answer was lost, so whether the call was carried out is not known. Repeat a report as it is."""

    code, status, title = "outcome_unknown", 503, "It is not known whether this was done"
    retry_after = 1
