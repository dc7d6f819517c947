"""Exchange and claim: a bot's turn, and calls that wait for a job.

Nearly every turn is plain: good JSON, leases that hold, a bot that is well. Those are answered here straight from the
middleware, in one statement and without the rest of the stack (`answer`). Whatever is out of the ordinary goes the
ordinary way, through the API's own door, and is answered there by the same rules.
"""

from typing import Any

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from ninja import Body, Router
from pydantic import TypeAdapter, ValidationError

from bots import tokens
from bots.auth import bearer
from bots.models import Bot
from jobs import lifecycle, trail, waiting
from jobs.api import schemas
from jobs.api.doors import INSTANCE_LENGTH, bot_of, bots_only, instance_of
from jobs.errors import Invalid
from jobs.intake import check_json, is_plain
from jobs.lifecycle import Exchanged, PlainTurn, Report, Turn, Wanted

router = Router(auth=bots_only, tags=["Bots"])

_CLAIM = "/api/v1/claim"
_EXCHANGE = "/api/v1/exchange"
_BODIES: dict[str, TypeAdapter[Any]] = {
    _CLAIM: TypeAdapter(schemas.ClaimIn),
    _EXCHANGE: TypeAdapter(schemas.ExchangeIn),
}
#: What may be answered before Django looks for a route.
PATHS = tuple(_BODIES)
_LIST: TypeAdapter[list[Any]] = TypeAdapter(list[schemas.CompleteItem | schemas.HeartbeatItem])


# --- The ordinary way ---------------------------------------------------------------------------------------------


@router.post("/claim", response=schemas.ClaimOut)
def claim(
    request: HttpRequest, response: HttpResponse, data: schemas.ClaimIn = Body(default_factory=schemas.ClaimIn)
) -> Any:
    """Take the next due jobs: highest priority first, then oldest. An empty list when there is nothing for this bot."""
    done = _take_turn(request, response, Turn(claim=_wanted(data)), data.wait)
    return {"jobs": [vars(job) for job in done.jobs], **_orders(request)}


@router.post("/exchange", response=schemas.ExchangeOut)
def exchange(
    request: HttpRequest, response: HttpResponse, data: schemas.ExchangeIn = Body(default_factory=schemas.ExchangeIn)
) -> Any:
    """A bot's whole turn at once: what it completed, what failed, heartbeats, and a claim. One transaction."""
    _check(data)
    done = _take_turn(request, response, _turn(data), data.claim.wait if data.claim else 0)
    attempts = {item.id: item.attempt for items in (data.completed, data.failed, data.heartbeats) for item in items}
    rejected = [
        {"id": job_id, "attempt": attempts[job_id], "code": error.code, "detail": error.detail}
        | {name: value for name, value in error.extra.items() if name in schemas.RejectedOut.model_fields}
        for job_id, error in done.rejected.items()
    ]
    return {
        "accepted": done.accepted,
        "rejected": rejected,
        "cancel": [job_id for job_id, error in done.rejected.items() if error.extra.get("cancel")],
        "jobs": [vars(job) for job in done.jobs],
        **_orders(request),
    }


def _take_turn(request: HttpRequest, response: HttpResponse, turn: Turn, wait: float) -> Exchanged:
    bot, instance = bot_of(request), instance_of(request)
    done = lifecycle.exchange(bot, turn, instance=instance)
    if turn.claim is None or done.jobs:
        return done
    if not wait or not done.room:
        _come_again(response, wait)
        return done

    kinds = _kinds(bot, turn.claim)

    def look() -> tuple[Exchanged, bool]:
        again = lifecycle.exchange(bot, Turn(claim=turn.claim), instance=instance)
        return again, bool(again.jobs) or not again.room

    again, waited = trail.waited(lambda: waiting.until_found(look, kinds, wait))
    if not waited:
        _come_again(response, wait)
    return done if again is None else Exchanged(done.accepted, done.rejected, again.jobs, again.room)


def _kinds(bot: Bot, ask: Wanted) -> tuple[str, ...] | None:
    """The kinds this claim waits for. None: any."""
    if not bot.kinds:
        return None if ask.kinds is None else tuple(ask.kinds)
    return tuple(kind for kind in bot.kinds if ask.kinds is None or kind in ask.kinds)


def _come_again(response: HttpResponse, wait: float) -> None:
    """To one who would have waited and gets an answer at once: so many seconds until the next claim."""
    if wait:
        response["Retry-After"] = str(waiting.RETRY_AFTER)


def _orders(request: HttpRequest) -> dict[str, bool]:
    bot = bot_of(request)
    return {"paused": bot.paused, "restart": lifecycle.take_restart(bot, instance_of(request))}


def _wanted(claim: schemas.ClaimIn) -> Wanted:
    return Wanted(claim.limit, claim.kinds, claim.start)


def _turn(data: schemas.ExchangeIn) -> Turn:
    return Turn(
        completed=[Report(r.id, r.attempt, result=r.result) for r in data.completed],
        failed=_failed(data),
        heartbeats=[Report(r.id, r.attempt, progress=r.progress, note=r.note) for r in data.heartbeats],
        claim=_wanted(data.claim) if data.claim else None,
    )


def _failed(data: schemas.ExchangeIn) -> list[Report]:
    return [Report(r.id, r.attempt, error=r.error, retry=r.retry) for r in data.failed]


def _check(data: schemas.ExchangeIn) -> None:
    """Invalid, naming it, for a job that is named twice and for a result that cannot be kept."""
    seen = set()
    for name in ("completed", "failed", "heartbeats"):
        for i, item in enumerate(getattr(data, name)):
            if item.id in seen:
                message = f"job {item.id} is named twice"
                raise Invalid(f"{name}[{i}].id: {message}", errors=[{"field": f"{name}[{i}].id", "message": message}])
            seen.add(item.id)
    for i, done in enumerate(data.completed):
        check_json(done.result, f"completed[{i}].result", settings.MAX_RESULT_BYTES)


# --- The short way ------------------------------------------------------------------------------------------------


def answer(request: HttpRequest) -> HttpResponse | None:
    """The answer to a plain turn, or None: this request is not one, nothing was done, and it goes the ordinary way."""
    adapter = _BODIES.get(request.path_info)
    if adapter is None or request.method != "POST" or (settings.SECURE_SSL_REDIRECT and not request.is_secure()):
        return None
    token = bearer(request.META.get("HTTP_AUTHORIZATION", ""))
    instance = request.META.get("HTTP_BOT_INSTANCE", "").strip()
    if not token or len(instance) > INSTANCE_LENGTH or not instance.isprintable():
        return None
    try:
        request.get_host()
    except DisallowedHost:
        return None
    body = request.body
    data: Any = adapter.validate_python({})
    if body:
        if not is_plain(body):
            return None
        try:
            data = adapter.validate_json(body)
        except ValidationError:
            return None
    if isinstance(data, schemas.ClaimIn):
        return _answer(tokens.digest(token), None, data, instance)
    if not _is_plain_exchange(data, body):
        return None
    return _answer(tokens.digest(token), data, data.claim, instance)


def _is_plain_exchange(data: schemas.ExchangeIn, body: bytes) -> bool:
    try:
        if len(body) * 2 > settings.MAX_RESULT_BYTES:
            _check(data)
    except Invalid:
        return False
    ids = _ids(data)
    return len(ids) == len(set(ids))


def _ids(data: schemas.ExchangeIn) -> list[int]:
    """The jobs it names, in the order in which they are answered."""
    return [item.id for items in (data.completed, data.failed, data.heartbeats) for item in items]


def _answer(
    digest: bytes, data: schemas.ExchangeIn | None, ask: schemas.ClaimIn | None, instance: str
) -> HttpResponse | None:
    # Whose token it is, is asked only where a line is written.
    trail.bind(_digest=digest)
    done = _dump(data.completed) if data and data.completed else None
    beats = _dump(data.heartbeats) if data and data.heartbeats else None
    wanted = _wanted(ask) if ask else None
    failed = _failed(data) if data else ()
    turn = lifecycle.exchange_plainly(digest, wanted, done=done, failed=failed, beats=beats, instance=instance)
    if turn is None:
        return None
    response = HttpResponse(content_type="application/json; charset=utf-8")
    if ask and ask.wait and not turn.claimed:
        turn = _wait(digest, turn, ask, instance, response)
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
    response.content = f'{{{head}"jobs": {turn.jobs}, "paused": {paused}, "restart": {told}}}'.encode()
    return response


def _dump(items: list[Any]) -> str:
    return _LIST.dump_json(items, exclude_unset=True).decode()


def _json(yes: bool) -> str:
    return "true" if yes else "false"


def _wait(digest: bytes, turn: PlainTurn, ask: schemas.ClaimIn, instance: str, response: HttpResponse) -> PlainTurn:
    if not turn.room:
        _come_again(response, ask.wait)
        return turn

    def look() -> tuple[PlainTurn | None, bool]:
        again = lifecycle.exchange_plainly(digest, _wanted(ask), instance=instance)
        # No longer plain: the bot hears why at its next call.
        return again, again is None or again.claimed > 0 or not again.room

    again, waited = trail.waited(lambda: waiting.until_found(look, turn.kinds, ask.wait))
    if not waited:
        _come_again(response, ask.wait)
    return again or turn
