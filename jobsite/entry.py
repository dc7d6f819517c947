"""Wrap every request: number it, bind its log context, measure it, and log it if it was refused, failed or slow."""

import logging
import random
import re
import time
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import structlog
from csp.middleware import CSPMiddleware
from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware
from psycopg_pool import PoolTimeout

from bots import tokens
from bots.models import Bot
from jobs.api import turn
from jobs.api.runners import InThread, Runner, in_thread
from jobs.api.turn import TurnResponse
from jobs.turns import waiting
from jobsite import metrics, probes
from jobsite.callers import caller_of
from jobsite.console import error_pages
from jobsite.lib import bodies, errors, log_context, problems
from jobsite.lib.connections import places
from jobsite.rates import rates

log = structlog.stdlib.get_logger("jobsite.requests")

#: The request ids that callers may give. A text that might be a token is none.
SANE = re.compile(rf"(?!{tokens.BOT_PREFIX}|{tokens.KEY_PREFIX})[A-Za-z0-9][A-Za-z0-9._:-]{{0,63}}\Z")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: Answered before Django looks for a route.
EXACT = frozenset(probes.PATHS) | frozenset(turn.PATHS)
#: The route of a request that matches none.
UNMATCHED = "unmatched"
POLICY = "Content-Security-Policy"
#: A status line, all headers, and the body.
Completed = tuple[str, list[tuple[str, str]], bytes]
#: The policy of what is no page: JSON, plain text, files.
NO_PAGE_POLICY = "default-src 'none'; frame-ancestors 'none'"


class Entry:
    """The site as the web server calls it: nothing is answered without what is done here.

    What breaks off, is too long or comes too often is refused here. Bots' turns are answered at once
    (`jobs.api.turn`), everything else by `django`.
    """

    def __init__(self, django: WSGIApplication) -> None:
        self._django = django

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with _Request(environ) as request:
            answer = _refuse(environ)
            if answer is None and (asked := turn.read(environ)) is not None:
                answer = in_thread(_take(environ, asked, InThread()))
            if answer is None:
                return self._by_django(request, start_response)
            request.answered(answer.status, in_thread=True)
        status, headers, body = request.completed(answer)
        start_response(status, headers)
        return [body]

    async def take_turn(self, environ: WSGIEnvironment, runner: Runner) -> Completed | None:
        """Answer a turn whose body is there, on an event loop. None: it is none, and nothing was done."""
        asked = turn.read(environ)
        if asked is None:
            return None
        with _Request(environ) as request:
            answer = _refuse(environ) or await _take(environ, asked, runner)
            if answer.status < 400:
                request.answered(answer.status)
            else:
                # The log line of a refusal names the bot, which may have to be looked up.
                await runner.call(request.answered, answer.status)
        return request.completed(answer)

    def _by_django(self, request: "_Request", start_response: StartResponse) -> Iterable[bytes]:
        status = 0

        def start(line: str, headers: list[tuple[str, str]], *failed: Any) -> Any:
            nonlocal status
            status = int(line.partition(" ")[0])
            headers = [*headers, ("X-Request-ID", request.number)]
            return start_response(line, _completed(headers, request.asked), *failed)

        body = self._django(request.asked, start)
        request.answered(status, in_thread=True)
        return body


class _Request:
    """A request from its first line to its answer: its number, its log context, and whose place it takes."""

    __slots__ = ("_began", "_context", "_logged", "_place", "asked", "number")

    def __init__(self, environ: WSGIEnvironment) -> None:
        self.asked = environ
        self._began = time.perf_counter()
        given = environ.get("HTTP_X_REQUEST_ID")
        # To tell one from another; it does not matter who could guess it.
        self.number = given if given and SANE.match(given) else f"{random.getrandbits(64):016x}"

    def __enter__(self) -> "_Request":
        self._logged = log_context.begin(request_id=self.number)
        self._context = self._logged.__enter__()
        path = self.asked["PATH_INFO"]
        self._context["_route"] = path if path in EXACT else UNMATCHED
        self._place = places.held_by(caller_of(self.asked))
        self._place.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._place.__exit__(*error)
        self._logged.__exit__(*error)

    def answered(self, status: int, *, in_thread: bool = False) -> None:
        """Do what follows an answer. The call was carried out: its answer must go out, whatever fails here."""
        try:
            _count(self.asked, status, self._began, self._context)
            if in_thread:
                # As Django does at the end of a request.
                waiting.release_connection()
        except Exception:
            log.exception("a request was answered, and could not be counted or logged")

    def completed(self, answer: TurnResponse) -> Completed:
        """Return the status line, all headers and the body."""
        headers = answer.headers | {"Content-Length": str(len(answer.body)), "X-Request-ID": self.number}
        return f"{answer.status} {answer.reason}", _completed(list(headers.items()), self.asked), answer.body


def _refuse(environ: WSGIEnvironment) -> TurnResponse | None:
    """Refuse a request that is one too many, or has no whole body. None: it is neither."""
    try:
        rates.check(environ)
        if error := environ.get(bodies.REFUSED):
            raise error
        bodies.take_whole(environ)
    except errors.JobsiteError as error:
        answer = problems.problem if environ["PATH_INFO"].startswith(problems.PREFIX) else error_pages.refused
        return TurnResponse.from_response(answer(error))
    return None


async def _take(environ: WSGIEnvironment, asked: turn.Turn, runner: Runner) -> TurnResponse:
    try:
        return await turn.respond(asked, runner)
    except Exception as error:
        return TurnResponse.from_response(problems.problem_of(environ["REQUEST_METHOD"], environ["PATH_INFO"], error))


def _completed(headers: list[tuple[str, str]], environ: WSGIEnvironment) -> list[tuple[str, str]]:
    """Add the headers that every answer has. What is no page gets a policy that allows nothing."""
    page = any(name.lower() == "content-type" and value.startswith("text/html") for name, value in headers)
    if not page:
        headers = [(name, value) for name, value in headers if name.lower() != POLICY.lower()]
    return [*headers, *_missing(tuple([name for name, _ in headers]), common_headers(turn.is_secure(environ), page))]


@lru_cache(maxsize=1000)
def _missing(names: tuple[str, ...], common: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    given = {name.lower() for name in names}
    return tuple([(name, value) for name, value in common if name.lower() not in given])


@cache
def common_headers(secure: bool, page: bool) -> tuple[tuple[str, str], ...]:
    """What the site's middleware adds to every answer of Django's; the same for what never came to it."""
    request = turn.Envelope({"wsgi.url_scheme": "https" if secure else "http"})
    request.path = request.path_info = "/"
    plain: Any = CSPMiddleware(XFrameOptionsMiddleware(lambda _: HttpResponse()))(request)
    # Only what it adds to an answer: it would redirect this request to HTTPS.
    answered: Any = SecurityMiddleware(lambda _: HttpResponse()).process_response(request, plain)
    headers = dict(answered.items())
    del headers["Content-Type"]
    if not page:
        headers[POLICY] = NO_PAGE_POLICY
    return tuple(headers.items())


class RouteMiddleware:
    """Bind the route of a request. The first middleware of Django."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        log_context.bind(_route=route_of(request))
        # Otherwise Django logs the response once more, without the request's context.
        response._has_been_logged = True  # type: ignore[attr-defined]
        return response


def route_of(request: HttpRequest) -> str:
    """Return the template of the path, never the path, so that the number of routes is bounded."""
    if request.path_info in EXACT:
        return request.path_info
    match = getattr(request, "resolver_match", None)
    if match is not None:
        return f"/{match.route}"
    if request.path_info.startswith(settings.STATIC_URL):
        return settings.STATIC_URL
    return UNMATCHED


def _count(environ: WSGIEnvironment, status: int, began: float, context: dict[str, Any]) -> None:
    """Count the request, and log it if it was refused, failed or slow."""
    seconds = max(0.0, time.perf_counter() - began - context.get("_waited", 0.0))
    method, route = environ["REQUEST_METHOD"], context.get("_route", UNMATCHED)
    metrics.observe(method if method in METHODS else "other", route, status, seconds)
    # A failure of ours says nothing of a token.
    if status < 500:
        known = "bot" in context or "user" in context
        rates.learn(environ, valid=False if status == 401 else True if known else None)
    bad = status >= 400 and route not in probes.PATHS
    level = logging.ERROR if status >= 500 else logging.WARNING
    if (not bad and seconds < settings.SLOW_REQUEST.total_seconds()) or not log.isEnabledFor(level):
        return
    if "_digest" in context and "bot" not in context and status != 503:
        _name_the_bot(context)
    what = "was slow" if status < 400 else "failed" if status >= 500 else "was refused"
    log.log(
        level, f"{method} {route} {what}: {status} in {seconds:.3f} s",
        method=method, route=route, path=environ["PATH_INFO"][:200], status=status, seconds=round(seconds, 4),
    )  # fmt: skip


def _name_the_bot(context: dict[str, Any]) -> None:
    """A turn that failed knows its bot only by its token's digest. Its name is asked here, where a line is written."""
    try:
        bot = Bot.objects.filter(token_digest=context["_digest"]).values_list("name", "pk").first()
    except (DatabaseError, InterfaceError, PoolTimeout):
        return
    if bot is not None:
        context["bot"], context["bot_id"] = bot
