"""Authenticate a bearer token as a bot or an API key, with one query and the same work for a wrong token."""

from datetime import timedelta
from pathlib import Path
from wsgiref.types import WSGIEnvironment

from django.conf import settings
from django.db import transaction
from django.db.models import BooleanField, ExpressionWrapper, Q
from django.db.models.functions import Now

from bots import tokens
from bots.models import ApiKey, Bot
from jobsite.lib.clock import moment
from jobsite.lib.errors import KeyExpired
from jobsite.lib.sql import Statements

SQL = Statements(Path(__file__).parent / "sql")
#: A key's last use is updated only when it is older than this.
KEY_USED_EVERY = timedelta(minutes=1)
#: Under this name an environ has the digest of its token.
_DIGEST = "jobsite.token_digest"


def bearer(header: str) -> str:
    """Return the token of an `Authorization` header, or an empty string when it has none."""
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def digest_of(environ: WSGIEnvironment) -> bytes | None:
    """Return the digest of a request's token, computed once. None for a request without one."""
    try:
        return environ[_DIGEST]  # type: ignore[no-any-return]
    except KeyError:
        token = bearer(environ.get("HTTP_AUTHORIZATION", ""))
        digest = environ[_DIGEST] = tokens.digest(token) if token else None
        return digest


def recognise(token: str, address: str = "") -> Bot | ApiKey | None:
    """Return the bot of this token, or the API key if its user is active. None for an unknown or revoked token.

    KeyExpired for a key that was good. A bot has `news`: whether `jobs.lifecycle.see` has something to write about it.
    `address`: where the call comes from, which is kept with a key.
    """
    digest = tokens.digest(token)
    if token.startswith(tokens.KEY_PREFIX):
        return _key(digest, address)
    # Every call of a bot begins with it. To build this query takes Django three times as long as to execute it.
    found = Bot.objects.raw(SQL.text("by_token"), {"digest": digest, "seen_every": settings.LAST_SEEN_EVERY})
    return next(iter(found), None)


def current(key: ApiKey) -> ApiKey | None:
    """Return the same key as it is now, with its user. None if it was revoked or its user may no longer call."""
    return _valid(bytes(key.digest))


def _key(digest: bytes, address: str) -> ApiKey | None:
    key = _valid(digest)
    if key is not None and key.unused:  # type: ignore[attr-defined]
        with transaction.atomic():
            # Of calls at the same time one writes. None waits for a row that somebody has locked: its use is written
            # at a later call.
            free = ApiKey.objects.filter(_UNUSED, pk=key.pk).select_for_update(no_key=True, skip_locked=True)
            found = ApiKey.objects.filter(pk__in=list(free.values_list("pk", flat=True)))
            found.update(last_used_at=Now(), last_used_from=address)
    return key


def _valid(digest: bytes) -> ApiKey | None:
    found = ApiKey.objects.select_related("user").filter(digest=digest, revoked_at=None, user__is_active=True)
    key = found.annotate(unused=_flag(_UNUSED), expired=_flag(Q(expires_at__lte=Now()))).first()
    if key is not None and key.expired and key.expires_at is not None:
        raise KeyExpired(f"This key expired at {moment(key.expires_at)}. Ask for a new one.")
    return key


def _flag(condition: Q) -> ExpressionWrapper:
    return ExpressionWrapper(condition, output_field=BooleanField())


#: A key whose last use is to be written: a thousand calls a minute write once.
_UNUSED = Q(last_used_at=None) | Q(last_used_at__lt=Now() - KEY_USED_EVERY)
