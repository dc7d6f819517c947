"""Authenticate calls of the API: bots by their tokens, operators and producers by their API keys."""

from typing import cast

from django.contrib.auth.models import User
from django.http import HttpRequest

from bots.auth import bearer, recognise
from bots.models import ApiKey, Bot
from jobs import lifecycle
from jobsite.lib import log_context, outcomes
from jobsite.lib.errors import Forbidden, Invalid, Unauthorized

#: The longest name of a bot's instance.
INSTANCE_LENGTH = 100


class Caller(HttpRequest):
    """A request whose token has been recognised: `auth` is whose it is."""

    auth: Bot | ApiKey


def either(request: HttpRequest) -> Bot | ApiKey:
    """Authenticate any caller with a valid token. Unauthorized otherwise."""
    header = request.headers.get("Authorization", "")
    with outcomes.before_commit():
        caller = recognise(bearer(header))
    if caller is None:
        message = "This token is unknown or was revoked." if header else "Send `Authorization: Bearer <token>`."
        raise Unauthorized(message)
    if isinstance(caller, Bot):
        log_context.bind(bot=caller.name, bot_id=caller.pk)
    else:
        log_context.bind(user=caller.user.get_username())
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


def user_of(request: HttpRequest) -> User:
    """The user behind a request that came in by `people_only`."""
    return cast(ApiKey, cast(Caller, request).auth).user


def require(request: HttpRequest, *permissions: str) -> User:
    """The user behind the request, who must have all these permissions. Forbidden, naming one, otherwise."""
    user = user_of(request)
    for permission in permissions:
        if not user.has_perm(permission):
            raise Forbidden(f"User {user.get_username()} needs the permission {permission} for this.")
    return user


def enqueuer(request: HttpRequest) -> tuple[str, str]:
    """The user whose new jobs these are, and the key in words: what a person calls it, and its visible part."""
    key = cast(ApiKey, cast(Caller, request).auth)
    return key.user.get_username(), f"{key.name} ({key.prefix}…)" if key.name else f"{key.prefix}…"


def instance_of(request: HttpRequest) -> str:
    """The name of the bot's instance, from the header `Bot-Instance`; empty when it sends none."""
    instance = request.headers.get("Bot-Instance", "").strip()
    if len(instance) > INSTANCE_LENGTH or not instance.isprintable():
        raise Invalid(f"Bot-Instance: at most {INSTANCE_LENGTH} printable characters.")
    return instance
