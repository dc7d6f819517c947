"""What a call answers: its successes with their headers, and its errors, by what it is and what it declares."""

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

from jobs.api.auth import SAFE_METHODS
from jobsite.lib import errors
from jobsite.lib.declared import refused_by
from jobsite.lib.errors import JobsiteError
from jobsite.lib.problems import type_of

#: Headers of answers, by their names in the document.
HEADERS = {
    "RequestId": {
        "description": "The number of this call in the server's log. A client may choose it, by the same header.",
        "schema": {"type": "string"},
    },
    "RetryAfter": {
        "description": "How many seconds to wait, at least, before the same call. Add a random delay.",
        "schema": {"type": "integer", "minimum": 1},
        "example": 1,
    },
    "WwwAuthenticate": {
        "description": "How to authenticate.",
        "schema": {"type": "string"},
        "example": 'Bearer realm="jobsite"',
    },
}
PROBLEM = "application/problem+json"
#: Errors that every call has.
ALWAYS = (
    errors.BadRequest, errors.Unauthorized, errors.Forbidden, errors.Invalid, errors.TooMany, errors.ServerError,
    errors.Unavailable,
)  # fmt: skip


def errors_of(view: Callable[..., Any], method: str, *, keys: bool, path: bool, body: bool) -> list[type[JobsiteError]]:
    """The errors of a call: of its form, and those it declares.

    `keys`: API keys may make it; `path`: its path names a thing; `body`: it has a body.
    """
    found = [*ALWAYS, *refused_by(view)]
    found += [errors.KeyExpired] if keys else []
    found += [errors.NotFound] if path else []
    found += [errors.BodyTimeout, errors.TooLarge] if body else []
    found += [errors.TooSlow] if method in SAFE_METHODS else [errors.OutcomeUnknown]
    return sorted(set(found), key=lambda error: (error.status, error.code))


def by_status(found: Iterable[type[JobsiteError]]) -> dict[int, list[type[JobsiteError]]]:
    """The errors, sorted by status, in groups of one status each."""
    return {status: list(group) for status, group in groupby(found, key=lambda error: error.status)}


def name_of(group: list[type[JobsiteError]]) -> str:
    """The name of the answer that is one of these errors."""
    return "Or".join(error.__name__ for error in group)


def refusal(group: list[type[JobsiteError]], schemas: list[str]) -> dict[str, Any]:
    """The answer that is one of these errors, whose problems have these schemas."""
    references = [f"#/components/schemas/{name}" for name in schemas]
    schema: dict[str, Any] = {"$ref": references[0]}
    if len(group) > 1:
        codes = {error.code: reference for error, reference in zip(group, references, strict=True)}
        schema = {
            "oneOf": [{"$ref": reference} for reference in references],
            "discriminator": {"propertyName": "code", "mapping": codes},
        }
    answer: dict[str, Any] = {
        "description": " ".join(f"`{error.code}`: {sentence_of(error)}" for error in group),
        "headers": _headers(RequestId=True, RetryAfter=any(error.retry_after for error in group)),
        "content": {PROBLEM: {"schema": schema, "examples": {e.code: {"value": example(e)} for e in group}}},
    }
    if group[0].status == errors.Unauthorized.status:
        answer["headers"] |= _headers(WwwAuthenticate=True)
    return answer


def success(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer that is a success, with the headers that every one has."""
    return answer | {"headers": _headers(RequestId=True) | answer.get("headers", {})}


def sentence_of(error: type[JobsiteError]) -> str:
    """When a call ends in this error, in a sentence or two."""
    return " ".join((error.__doc__ or "").split())


def example(error: type[JobsiteError]) -> dict[str, Any]:
    """A problem of this error, without what is not the same for all of its kind."""
    return {
        "type": type_of(error), "title": error.title, "status": error.status,
        "detail": error.example or sentence_of(error), "code": error.code,
    }  # fmt: skip


def _headers(**given: bool) -> dict[str, Any]:
    shown = {"RequestId": "X-Request-ID", "RetryAfter": "Retry-After", "WwwAuthenticate": "WWW-Authenticate"}
    return {shown[name]: {"$ref": f"#/components/headers/{name}"} for name, there in given.items() if there}
