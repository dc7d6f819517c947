"""Answer every error of the API as RFC 9457 `application/problem+json`."""

import json
from collections.abc import Callable
from typing import Any

import structlog
from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from psycopg_pool import PoolTimeout

from jobsite.lib import errors, outcomes, refusals
from jobsite.lib.bodies import CALLS, is_stream, read_whole, take_whole

log = structlog.stdlib.get_logger(__name__)

PREFIX = CALLS
#: The page of the API's docs.
DOCS = "/api/v1/docs"
#: Problems that say something of the caller, too: the call was read, and refused.
ALSO = (409, 422)
#: The detail of a fault of the server. Nothing can be promised: it may come after a commit.
FAILED = (
    "Something went wrong here, and the log has it. Whether this was carried out is not known. Repeat a report, or a "
    "new job with its key, as it is."
)


def type_of(error: errors.JobsiteError | type[errors.JobsiteError]) -> str:
    """Return the `type` of problems of this error: a relative reference to its place on the page of the API's docs."""
    return f"{DOCS}#{error.code}"


def problem(error: errors.JobsiteError) -> HttpResponse:
    """Return the response for `error`."""
    body = {
        "type": type_of(error),
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        **error.extra,
    }
    response = HttpResponse(json.dumps(body), status=error.status, content_type="application/problem+json")
    if error.status == 401:
        response["WWW-Authenticate"] = 'Bearer realm="jobsite"'
    if error.retry_after:
        response["Retry-After"] = str(error.retry_after)
    return response


def _field(loc: tuple[Any, ...]) -> str:
    """Return a field's name as the caller wrote it: `jobs[3].kind`, `limit`."""
    # The first is where (body, query, path), the second the name of our own parameter for a body.
    parts = loc[2:] if loc and loc[0] == "body" else loc[1:]
    name = ""
    for part in parts:
        name += f"[{part}]" if isinstance(part, int) else f"{'.' if name else ''}{part}"
    return name or "body"


def invalid(details: list[dict[str, Any]]) -> errors.Invalid:
    """Make one error of pydantic's list, which names every wrong field."""
    # Leave pydantic's input out: it may be huge or secret.
    named = [{"field": _field(tuple(e["loc"])), "message": str(e["msg"])[:500]} for e in details[:20]]
    return errors.Invalid("; ".join(f"{e['field'][:200]}: {e['message']}" for e in named), errors=named)


def register(api: NinjaAPI, also: Callable[[HttpRequest], dict[str, Any]]) -> None:
    """Make `api` answer errors with problems. `also`: further members of the problems with a status of `ALSO`."""

    @api.exception_handler(errors.JobsiteError)
    def _(request: HttpRequest, exc: errors.JobsiteError) -> HttpResponse:
        if exc.status in ALSO:
            exc.extra = also(request) | exc.extra
        return problem(exc)

    @api.exception_handler(ValidationError)
    def _(request: HttpRequest, exc: ValidationError) -> HttpResponse:
        error = invalid(exc.errors)
        error.extra |= also(request)
        return problem(error)

    @api.exception_handler(HttpError)
    def _(request: HttpRequest, exc: HttpError) -> HttpResponse:
        # Ninja wraps the parser's error.
        if isinstance(exc.__cause__, errors.JobsiteError):
            return problem(exc.__cause__)
        return problem(errors.BadRequest(str(exc)))

    @api.exception_handler(Http404)
    def _(request: HttpRequest, exc: Http404) -> HttpResponse:
        return problem(errors.NotFound(str(exc) or "There is no such thing."))

    @api.exception_handler(Exception)
    def _(request: HttpRequest, exc: Exception) -> HttpResponse:
        return problem_of(request.method, request.path, exc)


def problem_of(method: str | None, path: str, exc: Exception) -> HttpResponse:
    """Return the problem for any exception of a call. Unexpected ones are logged."""
    return problem(error_of(method, path, exc))


def error_of(method: str | None, path: str, exc: Exception) -> errors.JobsiteError:
    """Return the error as which any exception of a call is answered. Unexpected ones are logged."""
    if isinstance(exc, errors.JobsiteError):
        return exc
    if why := refusals.why(exc):
        log.warning(f"{method} {path}: {why}")
        return errors.Unavailable(why)
    if isinstance(exc, PoolTimeout | OperationalError | InterfaceError):
        log.error(f"{method} {path}: the database cannot be reached: {exc}")
        return outcomes.unavailable(exc, reads=method in ("GET", "HEAD"))
    log.error(f"{method} {path} failed", exc_info=exc)
    return errors.ServerError(FAILED)


def not_allowed(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Return the problem for Django's 405."""
    allow = response.get("Allow", "")
    new = problem(errors.MethodNotAllowed(f"{request.method} is not allowed here; use {allow}."))
    new["Allow"] = allow
    return new


class ApiMiddleware:
    """Give calls their whole bodies, and turn Django's own 404, 405 and 500 into problems."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(PREFIX):
            return self.get_response(request)
        try:
            take_whole(request.META)
        except errors.JobsiteError as error:
            return problem(error)
        if not is_stream(request.META):
            # Django's own limit is for forms, and calls have limits of their own.
            request._body = read_whole(request.META)
        response = self.get_response(request)
        if response.status_code >= 400 and response.get("Content-Type") != "application/problem+json":
            return self._replace(request, response)
        return response

    def process_exception(self, request: HttpRequest, exc: Exception) -> HttpResponse | None:
        if not request.path_info.startswith(PREFIX):
            return None
        if isinstance(exc, RequestDataTooBig):
            return problem(errors.TooLarge("The body is too long."))
        if isinstance(exc, Http404 | PermissionDenied | SuspiciousOperation | BadRequest):
            # Django answers these itself and `_replace` makes problems of them: the server did not fail.
            return None
        return problem_of(request.method, request.path, exc)

    def _replace(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if response.status_code == 404:
            return problem(errors.NotFound(f"There is nothing at {request.path_info[:200]}."))
        if response.status_code == 403:
            return problem(errors.Forbidden("This is not allowed here."))
        if response.status_code == 405:
            return not_allowed(request, response)
        if response.status_code == 400:
            return problem(
                errors.BadRequest("The request cannot be read. Check its Host header and its body.", field="Host")
            )
        if response.status_code >= 500:
            return problem(errors.ServerError(FAILED))
        return response
