"""Authenticate calls of the API: bots by their tokens, operators and producers by their API keys."""

import time
from collections.abc import Collection
from typing import cast

from django.contrib.auth.models import User
from django.http import HttpRequest

from bots.acts import READ
from bots.auth import bearer, current, recognise
from bots.models import ApiKey, Bot
from jobs import lifecycle
from jobs.api.schemas.fields import INSTANCE_LENGTH
from jobsite.lib import log_context, outcomes
from jobsite.lib.addresses import client_address
from jobsite.lib.errors import Forbidden, Invalid, Unauthorized
from jobsite.lib.names import header_fault

#: Calls that change nothing.
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
#: A key is checked once more when its call's body took longer than this to arrive, in seconds.
RECHECK_AFTER = 1.0
REVOKED = "This token is unknown or was revoked."


class Caller(HttpRequest):
    """A request whose token has been recognised: `auth` is whose it is."""

    auth: Bot | ApiKey
    #: When the token was recognised, by `time.monotonic()`.
    recognised_at: float


def either(request: HttpRequest) -> Bot | ApiKey:
    """Authenticate any caller with a valid token. Unauthorized otherwise."""
    header = request.headers.get("Authorization", "")
    with outcomes.before_commit():
        caller = recognise(bearer(header), client_address(request.META))
    if caller is None:
        raise Unauthorized(REVOKED if header else "Send `Authorization: Bearer <token>`.")
    cast(Caller, request).recognised_at = time.monotonic()
    if isinstance(caller, Bot):
        log_context.bind(bot=caller.name, bot_id=caller.pk)
    else:
        log_context.bind(user=cast(User, caller.user).get_username())
    if isinstance(caller, Bot) and getattr(caller, "news", False):
        with outcomes.before_commit():
            lifecycle.see(caller)
    return caller


def bots_only(request: HttpRequest) -> Bot:
    """Authenticate bots only."""
    caller = either(request)
    if not isinstance(caller, Bot):
        raise Forbidden("This call is for bots: it needs a bot's token, and this is an operator's key.")
    return caller


def people_only(request: HttpRequest) -> ApiKey:
    """Authenticate operators and producers. `require` checks what each may do."""
    caller = either(request)
    if not isinstance(caller, ApiKey):
        raise Forbidden("This call needs an operator's or producer's key, and this is a bot's token.")
    return caller


def bot_of(request: HttpRequest) -> Bot:
    """The bot behind a request that came in by `bots_only`."""
    return cast(Bot, cast(Caller, request).auth)


def key_of(request: HttpRequest) -> ApiKey:
    """The key behind a request that came in by `people_only`."""
    return cast(ApiKey, cast(Caller, request).auth)


def user_of(request: HttpRequest) -> User:
    """The user behind a request that came in by `people_only`."""
    return cast(User, key_of(request).user)


def require(request: HttpRequest, *permissions: str, scope: str = READ, kinds: Collection[str] | None = None) -> User:
    """The user behind the request, whose key must have this scope, and who must have all these permissions.

    Forbidden, naming what is missing, otherwise. `kinds`: of the jobs that the call is about; None: it is about other
    things. A call that changes something names its `scope`.
    """
    if (scope == READ) != (request.method in SAFE_METHODS):
        raise ValueError(f"{request.method} {request.path}: the scope of a call that changes something is its act.")
    if time.monotonic() - cast(Caller, request).recognised_at > RECHECK_AFTER:
        cast(Caller, request).auth = _current_key(request)
    return _allowed(key_of(request), permissions, scope, kinds)


def require_still(request: HttpRequest, *permissions: str, scope: str, kinds: Collection[str] | None) -> None:
    """Check the same against the key as it is now: the body may have taken an hour to come. For just before a commit.

    Unauthorized if the key was revoked or has expired since, Forbidden if its user has lost a permission.
    """
    _allowed(_current_key(request), permissions, scope, kinds)


def _current_key(request: HttpRequest) -> ApiKey:
    key = current(key_of(request))
    if key is None:
        raise Unauthorized(REVOKED)
    return key


def _allowed(key: ApiKey, permissions: Collection[str], scope: str, kinds: Collection[str] | None) -> User:
    if beyond := key.beyond_scope(scope, kinds):
        raise Forbidden(beyond)
    # A key without a user is never recognised.
    user = cast(User, key.user)
    for permission in permissions:
        if not user.has_perm(permission):
            raise Forbidden(f"User {user.get_username()} needs the permission {permission} for this.")
    return user


def enqueuer(request: HttpRequest) -> tuple[str, str]:
    """The user whose new jobs these are, and the key in words: what a person calls it, and its visible part."""
    key = key_of(request)
    return user_of(request).get_username(), f"{key.name} ({key.prefix}…)" if key.name else f"{key.prefix}…"


def instance_of(request: HttpRequest) -> str:
    """The name of the bot's instance, from the header `Bot-Instance`; empty when it sends none."""
    instance = request.headers.get("Bot-Instance", "").strip()
    if len(instance) > INSTANCE_LENGTH or header_fault(instance):
        raise Invalid.about("Bot-Instance", f"at most {INSTANCE_LENGTH} printable ASCII characters.")
    return instance
