"""The short way: a bot's plain turn, answered where the web server calls, before Django makes a request of it.

Nearly every turn is plain: good JSON, leases that hold, a bot that is well. Such a one is answered here, in one
statement (`answer`). Whatever is out of the ordinary is left for the ordinary way (`jobs.api.turns`), where the same
schemas and the same rules answer it.
"""

from typing import Any, NamedTuple
from wsgiref.types import WSGIEnvironment

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from pydantic import TypeAdapter, ValidationError

from bots import tokens
from bots.auth import bearer
from bots.models import Bot
from jobs import lifecycle
from jobs.api import schemas
from jobs.api.auth import INSTANCE_LENGTH
from jobs.api.turns import check, come_again, failures, wanted
from jobs.lifecycle import PlainTurn
from jobs.turns import waiting
from jobsite.lib import log_context
from jobsite.lib.bodies import whole
from jobsite.lib.errors import Invalid
from jobsite.lib.strict_json import is_plain

_BODIES: dict[str, TypeAdapter[Any]] = {
    "/api/v1/claim": TypeAdapter(schemas.ClaimIn),
    "/api/v1/exchange": TypeAdapter(schemas.ExchangeIn),
}
#: What may be answered here.
PATHS = tuple(_BODIES)
_LIST: TypeAdapter[list[Any]] = TypeAdapter(list[schemas.CompleteItem | schemas.HeartbeatItem])


class Answer(NamedTuple):
    """What the web server is to send."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes

    @classmethod
    def of(cls, response: HttpResponse) -> "Answer":
        """The same as a response of Django's."""
        return cls(response.status_code, response.reason_phrase, dict(response.items()), response.content)


class _Envelope(HttpRequest):
    """As much of a request as Django needs to say whose host it names, and whether it came by HTTPS."""

    def __init__(self, environ: WSGIEnvironment) -> None:
        self.META = environ

    def _get_scheme(self) -> str:
        return str(self.META.get("wsgi.url_scheme"))


def answer(environ: WSGIEnvironment) -> Answer | None:
    """The answer to a plain turn, or None: this call is not one, nothing was done, and it goes the ordinary way.

    What was read of its body can be read again. TooLarge and BadRequest for a body that is not read.
    """
    adapter = _BODIES.get(environ["PATH_INFO"])
    if adapter is None or environ["REQUEST_METHOD"] != "POST" or not _well_addressed(environ):
        return None
    token = bearer(environ.get("HTTP_AUTHORIZATION", ""))
    instance = environ.get("HTTP_BOT_INSTANCE", "").strip()
    if not token or len(instance) > INSTANCE_LENGTH or not instance.isprintable():
        return None
    body = whole(environ, settings.MAX_BODY_BYTES)
    if not is_plain(body):
        return None
    try:
        data = adapter.validate_json(body or b"{}")
    except ValidationError:
        return None
    if isinstance(data, schemas.ClaimIn):
        return _answer(tokens.digest(token), None, data, instance)
    if not _is_plain_exchange(data, body):
        return None
    return _answer(tokens.digest(token), data, data.claim, instance)


def _well_addressed(environ: WSGIEnvironment) -> bool:
    """Whether it names a host of ours, and came by HTTPS where it must."""
    envelope = _Envelope(environ)
    if settings.SECURE_SSL_REDIRECT and not envelope.is_secure():
        return False
    try:
        envelope.get_host()
    except DisallowedHost:
        return False
    return True


def _is_plain_exchange(data: schemas.ExchangeIn, body: bytes) -> bool:
    try:
        if len(body) * 2 > settings.MAX_RESULT_BYTES:
            check(data)
    except Invalid:
        return False
    ids = _ids(data)
    return len(ids) == len(set(ids))


def _ids(data: schemas.ExchangeIn) -> list[int]:
    """The jobs it names, in the order in which they are answered."""
    return [item.id for items in (data.completed, data.failed, data.heartbeats) for item in items]


def _answer(
    digest: bytes, data: schemas.ExchangeIn | None, ask: schemas.ClaimIn | None, instance: str
) -> Answer | None:
    # Whose token it is, is asked only where a line is written.
    log_context.bind(_digest=digest)
    done = _dump(data.completed) if data and data.completed else None
    beats = _dump(data.heartbeats) if data and data.heartbeats else None
    ask_for = wanted(ask) if ask else None
    failed = failures(data) if data else ()
    turn = lifecycle.exchange_plainly(digest, ask_for, done=done, failed=failed, beats=beats, instance=instance)
    if turn is None:
        return None
    headers = {"Content-Type": "application/json; charset=utf-8"}
    if ask and ask.wait and not turn.claimed:
        turn = _wait(digest, turn, ask, instance, headers)
    if turn.restart:
        bot = Bot.objects.filter(token_digest=digest).first()
        restart = bot is not None and lifecycle.take_restart(bot, instance)
    else:
        restart = False
    head = ""
    if data is not None:
        ids = ",".join(map(str, _ids(data)))
        head = f'"accepted": [{ids}], "rejected": [], "cancel": [], '
    paused, told = _json(turn.paused), _json(restart)
    body = f'{{{head}"jobs": {turn.jobs}, "paused": {paused}, "restart": {told}}}'.encode()
    return Answer(200, "OK", headers, body)


def _dump(items: list[Any]) -> str:
    return _LIST.dump_json(items, exclude_unset=True).decode()


def _json(yes: bool) -> str:
    return "true" if yes else "false"


def _wait(digest: bytes, turn: PlainTurn, ask: schemas.ClaimIn, instance: str, headers: dict[str, str]) -> PlainTurn:
    if not turn.room:
        come_again(headers, ask.wait)
        return turn

    def look() -> tuple[PlainTurn | None, bool]:
        again = lifecycle.exchange_plainly(digest, wanted(ask), instance=instance)
        # No longer plain: the bot hears why at its next call.
        return again, again is None or again.claimed > 0 or not again.room

    again, waited = log_context.waited(lambda: waiting.until_found(look, turn.kinds, ask.wait))
    if not waited:
        come_again(headers, ask.wait)
    return again or turn
