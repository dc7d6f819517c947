"""Around every request: a number for it, what its log lines say of it, how long it took, and a line if it was bad."""

import logging
import re
import secrets
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from psycopg_pool import PoolTimeout

from bots import tokens
from bots.models import Bot
from jobs import trail
from jobs.api import turns
from jobsite import metrics, probes

logger = logging.getLogger("jobsite.requests")

#: What a caller may call its own request. What might be a token is none.
SANE = re.compile(rf"(?!{tokens.BOT_PREFIX}|{tokens.KEY_PREFIX})[A-Za-z0-9][A-Za-z0-9._:-]{{0,63}}\Z")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: Answered before Django looks for a route.
EXACT = frozenset(probes.PATHS) | frozenset(turns.PATHS)
#: The route of what has none.
UNMATCHED = "unmatched"


class RequestsMiddleware:
    """Stands first, so that nothing is answered without it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        number = given if SANE.match(given) else secrets.token_hex(8)
        with trail.begin(request_id=number) as said:
            response = self.get_response(request)
            seconds = max(0.0, time.perf_counter() - began - said.get("_waited", 0.0))
            method = request.method if request.method in METHODS else "other"
            route = route_of(request)
            metrics.observe(str(method), route, response.status_code, seconds)
            bad = response.status_code >= 400 and route not in probes.PATHS
            if bad or seconds >= settings.SLOW_REQUEST.total_seconds():
                _write(request, route, response.status_code, seconds, said)
        # Or Django would write one more line, which would not know the request's number any more.
        response._has_been_logged = True  # type: ignore[attr-defined]
        response["X-Request-ID"] = number
        return response


def route_of(request: HttpRequest) -> str:
    """The template of the path and never the path, so that there is a bounded number of them."""
    if request.path_info in EXACT:
        return request.path_info
    match = getattr(request, "resolver_match", None)
    if match is not None:
        return f"/{match.route}"
    if request.path_info.startswith(settings.STATIC_URL):
        return settings.STATIC_URL
    return UNMATCHED


def _write(request: HttpRequest, route: str, status: int, seconds: float, said: dict[str, Any]) -> None:
    if "_digest" in said and "bot" not in said and status != 503:
        _name_the_bot(said)
    fields = {"method": request.method, "route": route, "path": request.path_info[:200], "status": status}
    level = logging.ERROR if status >= 500 else logging.WARNING
    what = "was slow" if status < 400 else "failed" if status >= 500 else "was refused"
    extra = {"said": fields | {"seconds": round(seconds, 4)}}
    logger.log(level, "%s %s %s: %d in %.3f s", request.method, route, what, status, seconds, extra=extra)


def _name_the_bot(said: dict[str, Any]) -> None:
    """The short way knows a bot only by its token's digest. Its name is asked here, where a line is written."""
    try:
        bot = Bot.objects.filter(token_digest=said["_digest"]).values_list("name", "pk").first()
    except (DatabaseError, InterfaceError, PoolTimeout):
        return
    if bot is not None:
        said["bot"], said["bot_id"] = bot
