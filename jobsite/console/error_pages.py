"""Answer what goes wrong in the console with its own pages. They need no database, session or user."""

import codecs
import sys
from collections.abc import Callable, Iterator
from typing import Any

import structlog
from django.contrib.admin.exceptions import DisallowedModelAdminLookup, DisallowedModelAdminToField
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import BadRequest, RequestDataTooBig
from django.db import DataError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from psycopg_pool import PoolTimeout

from jobsite.lib import log_context, permissions, refusals
from jobsite.lib.errors import JobsiteError, MethodNotAllowed
from jobsite.lib.plain_text import in_page
from jobsite.lib.problems import PREFIX
from jobsite.lib.strict_json import unkeepable

log = structlog.stdlib.get_logger(__name__)

LOST = (OperationalError, InterfaceError, PoolTimeout)
#: Seconds after which a browser may ask again when the database was lost.
RETRY_AFTER = 5


class ConsoleMiddleware:
    """Refuse addresses that no page can have, and turn errors of the database and wrong methods into pages.

    What strangers wrote acts on no page, whichever template shows it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(PREFIX):
            if any(map(unkeepable, _texts(request))):
                return bad_request(request, BadRequest("The address has a character that no text here can have."))
            if not _in_utf8(request):
                return bad_request(request, BadRequest("The form is not in UTF-8."))
        response = self.get_response(request)
        if response.status_code == 405 and not request.path_info.startswith(PREFIX):
            return not_allowed(request, response)
        if not response.streaming and response.get("Content-Type", "").startswith("text/html"):
            shown = in_page(text := response.content.decode())
            if shown != text:
                response.content = shown.encode()
        return response

    def process_exception(self, request: HttpRequest, exc: Exception) -> HttpResponse | None:
        """Answer what a view raised. Django asks here before it calls the handlers below."""
        if request.path_info.startswith(PREFIX):
            return None
        if isinstance(exc, JobsiteError):
            return refused(exc)
        if isinstance(exc, LOST):
            return unavailable(exc)
        if isinstance(exc, DataError | UnicodeEncodeError):
            # Forms and filters check what they are given; this is for what none of them checks.
            log.warning(f"{request.method} {request.path_info[:200]}: the database refused a value: {exc}")
            return bad_request(request, BadRequest("The database cannot store a value of this request."))
        return None


def _texts(request: HttpRequest) -> Iterator[str]:
    yield request.path_info
    for name, values in request.GET.lists():
        yield name
        yield from values


def _in_utf8(request: HttpRequest) -> bool:
    encoding = request.encoding
    return encoding is None or codecs.lookup(encoding).name == "utf-8"


def page(status: int, title: str, *sentences: str) -> HttpResponse:
    """Render an error: what happened, and what to do."""
    context = {
        "title": title,
        "status": status,
        "sentences": [sentence for sentence in sentences if sentence],
        "number": log_context.bound().get("request_id", ""),
        # The layout shows who is logged in, and that is a question for the database.
        "user": AnonymousUser(),
    }
    return HttpResponse(render_to_string("admin/error.html", context), status=status)


def refused(error: JobsiteError) -> HttpResponse:
    """A request that is refused for its own sake: one too many, without a whole body, or too slow to answer."""
    response = page(error.status, error.title, error.detail)
    if error.retry_after:
        response["Retry-After"] = str(error.retry_after)
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400: the address or the form cannot be used."""
    why = "The address or the form has a value that cannot be used."
    if isinstance(exception, DisallowedModelAdminLookup | DisallowedModelAdminToField):
        why = f"{exception}. A list has only the filters that its page shows."
    elif isinstance(exception, RequestDataTooBig):
        why = "The form is too large."
    elif isinstance(exception, BadRequest) and str(exception):
        why = str(exception)
    return page(400, "Bad request", why, "Nothing was changed.")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403: the person may not do this. Says which permission it needs."""
    needed = [f"“{permissions.label(name)}” ({name})" for name in permissions.refused(request)]
    why = f"This needs the permission {' or '.join(needed)}." if needed else str(exception) or "You may not do this."
    return page(403, "Not allowed", why, "Nothing was changed. An administrator can give you a permission under Users.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404: no such page or row."""
    # Django's own exception has the routes it tried, and no sentence.
    why = str(exception) if exception.args and isinstance(exception.args[0], str) else ""
    return page(404, "Not found", why or "There is no page at this address.")


def not_allowed(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """405: the page is not for this method. `response` says which it is for."""
    allowed = response.get("Allow", "")
    ask = "A link or a reload cannot do this: go back, and press the button." if "GET" not in allowed else ""
    why = f"{request.method} is not allowed here; use {allowed.replace(', ', ' or ')}."
    page_of_it = page(405, MethodNotAllowed.title, why, ask, "Nothing was changed.")
    page_of_it["Allow"] = allowed
    return page_of_it


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403: a form without the token of this browser."""
    return page(
        403,
        "The form is out of date",
        "It does not belong to this browser's present session, for instance because you logged in again elsewhere.",
        "Nothing was changed. Go back, load the page again, and repeat what you did. Cookies must be allowed.",
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """500, or 503 where the database was lost outside of a view."""
    error: Any = sys.exc_info()[1]
    if isinstance(error, LOST):
        return unavailable(error)
    return page(500, "The server failed", "The fault is in this program, and it is in its log with the number below.")


def unavailable(error: Exception) -> HttpResponse:
    """503: the database cannot be reached, or did not do what it was asked."""
    if why := refusals.why(error):
        log.warning(why)
        response = page(503, "The database is busy", why)
    else:
        log.error(f"the database cannot be reached: {error}")
        response = page(
            503,
            "The database does not answer",
            "The database cannot be reached.",
            "If you pressed a button, see whether it was done before you press it again.",
            "Try again in a few seconds.",
        )
    response["Retry-After"] = str(RETRY_AFTER)
    return response
