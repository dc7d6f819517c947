"""Answer claim and exchange, a bot's turn, at the web server's entry, before Django makes a request of it.

Django gets only calls that are refused before they are a turn (a wrong host, a bad body), and JSON that needs the
strict parser. The operations declared here for it, and for the OpenAPI document, end in the same `respond`.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple
from wsgiref.types import WSGIEnvironment

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from ninja import Body, Router
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from bots import tokens
from bots.auth import bearer, digest_of
from bots.instances import INSTANCE_LENGTH
from jobs import lifecycle
from jobs.api import schemas
from jobs.api.auth import bots_only, instance_of
from jobs.api.runners import InThread, Runner, in_thread
from jobs.errors import InstanceReplaced
from jobs.lifecycle import ClaimRequest, Refusal, TurnRow
from jobs.turns import waiting
from jobsite.lib import log_context, outcomes
from jobsite.lib.bodies import encoding_of, read_whole
from jobsite.lib.declared import refuses
from jobsite.lib.errors import Invalid, JobsiteError
from jobsite.lib.names import header_fault
from jobsite.lib.strict_json import check_json, is_plain

router = Router(auth=bots_only, tags=["Bots"])

_BODIES: dict[str, TypeAdapter[Any]] = {
    "/api/v1/claim": TypeAdapter(schemas.ClaimIn),
    "/api/v1/exchange": TypeAdapter(schemas.ExchangeIn),
}
#: The paths answered here.
PATHS = tuple(_BODIES)
#: The field of an exchange with the reports of each verb. Answers list them in this order.
REPORTS = {"complete": "completed", "fail": "failed", "release": "released", "heartbeat": "heartbeats"}
#: A claim may be answered at once where no more calls can wait.
MAY_RETRY_LATER = {"responses": {200: {"headers": {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}}}}}
_LIST: TypeAdapter[list[Any]] = TypeAdapter(list[schemas.CompleteItem | schemas.FailItem | schemas.HeartbeatItem])


#: The most seconds after which a bot asks again for what is shut by a rate or a throttle.
MOST_RETRY_AFTER = 30

#: Where Django reads the host from.
_HOST_HEADERS = ("HTTP_X_FORWARDED_HOST", "HTTP_HOST", "SERVER_NAME", "SERVER_PORT", "wsgi.url_scheme")


class TurnResponse(NamedTuple):
    """A response for the web server."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes

    @classmethod
    def from_response(cls, response: HttpResponse) -> "TurnResponse":
        """Convert a response of Django's."""
        return cls(response.status_code, response.reason_phrase, dict(response.items()), response.content)

    def to_response(self) -> HttpResponse:
        """Convert it for Django."""
        return HttpResponse(self.body, status=self.status, reason=self.reason, headers=self.headers)


class Turn(NamedTuple):
    """A turn that a bot asks for: its token's digest, the body, and the name of the instance."""

    digest: bytes
    data: schemas.ClaimIn | schemas.ExchangeIn
    instance: str


class Envelope(HttpRequest):
    """The parts of a request from which Django reads its host, and whether it came by HTTPS."""

    def __init__(self, environ: WSGIEnvironment) -> None:
        self.META = environ

    def _get_scheme(self) -> str:
        return str(self.META.get("wsgi.url_scheme"))


def is_secure(environ: WSGIEnvironment) -> bool:
    """Whether a request came by HTTPS, perhaps by a proxy that says so."""
    return bool(Envelope(environ).is_secure())


@router.post("/claim", response=schemas.ClaimOut, openapi_extra=MAY_RETRY_LATER)
@refuses(InstanceReplaced)
def claim(request: HttpRequest, data: schemas.ClaimIn = Body(default_factory=schemas.ClaimIn)) -> Any:
    """Claim the next due jobs.

    Highest priority first, then oldest. With `wait` the server holds the call open until there is a job; use a client
    time-out that is longer. The list is empty when there is nothing for this bot, or when it is paused, in quarantine
    or at capacity. An answer with `Retry-After` means that no more calls can wait just now, or that a rate or a
    throttle shuts all these kinds. Keep `attempt`: every report of the job needs it.
    """
    return _from_django(request, data)


@router.post("/exchange", response=schemas.ExchangeOut, openapi_extra=MAY_RETRY_LATER)
@refuses(InstanceReplaced)
def exchange(request: HttpRequest, data: schemas.ExchangeIn = Body(default_factory=schemas.ExchangeIn)) -> Any:
    """Send reports and heartbeats, and claim, in one call.

    All of it is one transaction. A report that does not hold is listed in `rejected`, with what its own call would
    have answered, and the others stand. 422 and 409 are about the whole call: nothing was done. Repeat the reports if
    the answer is lost, without the claim.
    """
    check(data)
    return _from_django(request, data)


def _from_django(request: HttpRequest, data: schemas.ClaimIn | schemas.ExchangeIn) -> HttpResponse:
    digest = tokens.digest(bearer(request.headers.get("Authorization", "")))
    return in_thread(respond(Turn(digest, data, instance_of(request)), InThread())).to_response()


def read(environ: WSGIEnvironment) -> Turn | None:
    """Read a turn from its request. None: it is not one, and Django answers it. Its body can be read again."""
    adapter = _BODIES.get(environ["PATH_INFO"])
    if adapter is None or environ["REQUEST_METHOD"] != "POST" or not _well_addressed(environ):
        return None
    if environ.get("QUERY_STRING"):
        # Neither call has parameters: Django refuses them.
        return None
    digest, instance = digest_of(environ), environ.get("HTTP_BOT_INSTANCE", "").strip()
    if digest is None or bearer(environ["HTTP_AUTHORIZATION"]).startswith(tokens.KEY_PREFIX):
        return None
    if len(instance) > INSTANCE_LENGTH or header_fault(instance):
        return None
    body = read_whole(environ)
    if encoding_of(environ) or not is_plain(body):
        return None
    try:
        data = adapter.validate_json(body or b"{}")
        if isinstance(data, schemas.ExchangeIn):
            check(data, results=len(body) * 2 > settings.MAX_RESULT_BYTES)
    except (ValidationError, Invalid):
        return None
    return Turn(digest, data, instance)


def _well_addressed(environ: WSGIEnvironment) -> bool:
    """Whether the host is allowed, and the scheme is HTTPS where it must be."""
    if settings.SECURE_SSL_REDIRECT and not is_secure(environ):
        return False
    names = tuple([environ.get(name, "") for name in _HOST_HEADERS])
    return _is_allowed(names, tuple(settings.ALLOWED_HOSTS))


@lru_cache(maxsize=1000)
def _is_allowed(names: tuple[str, ...], allowed: tuple[str, ...]) -> bool:
    environ = {name: text for name, text in zip(_HOST_HEADERS, names, strict=True) if text}
    try:
        Envelope(environ).get_host()
    except DisallowedHost:
        return False
    return True


def check(data: schemas.ExchangeIn, *, results: bool = True) -> None:
    """Raise Invalid for a job that is named twice, and for a result that cannot be stored."""
    seen = set()
    for name in REPORTS.values():
        for i, item in enumerate(getattr(data, name)):
            if item.id in seen:
                raise Invalid.about(f"{name}[{i}].id", f"job {item.id} is named twice")
            seen.add(item.id)
    for i, done in enumerate(data.completed if results else ()):
        check_json(done.result, f"completed[{i}].result", settings.MAX_RESULT_BYTES)


async def respond(turn: Turn, runner: Runner) -> TurnResponse:
    """Take the turn, which may wait for jobs, and answer it."""
    digest, data, instance = turn
    # Until the turn is taken, log lines look up the bot by this.
    log_context.bind(_digest=digest)
    reports, ask = ({}, data) if isinstance(data, schemas.ClaimIn) else (_reports(data), data.claim)
    wanted = ClaimRequest(ask.limit, ask.kinds, ask.start) if ask else None
    slots = None if data.slots is None else data.slots.kept
    row = await runner.take(lifecycle.turn_request(digest, wanted, reports, instance=instance, slots=slots))
    log_context.bind(bot=row.name, bot_id=row.bot)
    headers, last = {"Content-Type": "application/json; charset=utf-8"}, row
    if ask and wanted and ask.wait and not row.n:
        last, waited = await _wait(turn, row, wanted, ask.wait, runner)
        if not waited:
            headers["Retry-After"] = str(waiting.RETRY_AFTER)
    if last.shut and not last.n:
        headers["Retry-After"] = str(min(MOST_RETRY_AFTER, max(1, math.ceil(last.opens_in or 0))))
    head = _report_results(data, row) if isinstance(data, schemas.ExchangeIn) else ""
    orders = f'"paused": {_json(last.paused)}, "restart": {_json(last.restart)}'
    body = f'{{{head}"jobs": {last.jobs}, {orders}}}'.encode()
    return TurnResponse(200, "OK", headers, body)


def _reports(data: schemas.ExchangeIn) -> dict[str, str]:
    """The reports of an exchange as JSON, by verb."""
    lists = {verb: getattr(data, name) for verb, name in REPORTS.items() if verb != "release"}
    texts = {verb: _LIST.dump_json(items, exclude_unset=True).decode() for verb, items in lists.items() if items}
    if data.released:
        # What the database asks of them is another form.
        contents = [lifecycle.release_content(item.reason, item.run_in) for item in data.released]
        leases = [{"id": item.id, "attempt": item.attempt} for item in data.released]
        texts["release"] = to_json([lease | one for lease, one in zip(leases, contents, strict=True)]).decode()
    return texts


async def _wait(turn: Turn, row: TurnRow, wanted: ClaimRequest, seconds: float, runner: Runner) -> tuple[TurnRow, bool]:
    """Wait for a job. False: there was no room to wait, and the client should try again later."""
    if not row.room:
        return row, False

    async def claim_again() -> tuple[TurnRow | None, bool]:
        try:
            found = await runner.take(lifecycle.turn_request(turn.digest, wanted, instance=turn.instance))
        except (JobsiteError, *outcomes.ERRORS) as error:
            # Its token was revoked, or its process replaced, or nothing was claimed. Its reports hold.
            if isinstance(error, JobsiteError) or outcomes.nothing_done(error):
                return None, True
            raise
        return found, found.n > 0 or not found.room

    kinds = None if row.kinds is None else tuple(row.kinds)
    with log_context.waiting():
        woken = runner.woken()
        found, waited = await waiting.poll(
            claim_again, kinds, seconds, row.bot, woken, turn.instance, lambda last: last.opens_in if last else None
        )
    return found or row, waited


def _report_results(data: schemas.ExchangeIn, row: TurnRow) -> str:
    """The results of all reports: the first members of the answer."""
    items = [item for name in REPORTS.values() for item in getattr(data, name)]
    if not row.refused:
        ids = ",".join([str(item.id) for item in items])
        return f'"accepted": [{ids}], "rejected": [], "cancel": [], '
    refused = lifecycle.refusals(row.name, row.refused)
    attempts = {item.id: item.attempt for item in items}
    rejected = [_rejected(job_id, attempts[job_id], error) for job_id, error in refused.items()]
    accepted = ",".join([str(item.id) for item in items if item.id not in refused])
    cancel = [job_id for job_id, error in refused.items() if error.extra.get("cancel")]
    return f'"accepted": [{accepted}], "rejected": {to_json(rejected).decode()}, "cancel": {cancel}, '


def _rejected(job_id: int, attempt: int, error: Refusal) -> dict[str, Any]:
    extra = {name: value for name, value in error.extra.items() if name in schemas.RejectedOut.model_fields}
    refused = {"id": job_id, "attempt": attempt, "code": error.code, "detail": error.detail} | extra
    return schemas.RejectedOut.model_validate(refused).model_dump()


def _json(yes: bool) -> str:
    return "true" if yes else "false"
