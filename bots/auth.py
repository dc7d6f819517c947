"""Authenticate a bearer token as a bot or an API key, with one query and the same work for a wrong token."""

from datetime import timedelta

from django.conf import settings
from django.db.models import BooleanField, ExpressionWrapper, Q
from django.db.models.functions import Now

from bots import tokens
from bots.models import ApiKey, Bot
from bots.states import BotStatus, HealthStatus

#: A key's last use is updated only when it is older than this.
KEY_USED_EVERY = timedelta(minutes=1)


def bearer(header: str) -> str:
    """Return the token of an `Authorization` header, or an empty string when it has none."""
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def recognise(token: str) -> Bot | ApiKey | None:
    """Return the bot of this token, or the API key if its user is active. None for an unknown or revoked token.

    A bot has `news`: whether `jobs.lifecycle.see` has something to write about it.
    """
    digest = tokens.digest(token)
    if token.startswith(tokens.KEY_PREFIX):
        return _key(digest)
    old = Q(last_seen_at=None) | Q(last_seen_at__lt=Now() - settings.LAST_SEEN_EVERY) | Q(status=BotStatus.DOWN)
    unwell = ~Q(health_status=HealthStatus.NORMAL) & Q(stuck_job=None)
    news = ExpressionWrapper(old | unwell, output_field=BooleanField())
    return Bot.objects.filter(token_digest=digest).annotate(news=news).first()


def _key(digest: bytes) -> ApiKey | None:
    key = ApiKey.objects.select_related("user").filter(digest=digest, revoked_at=None, user__is_active=True).first()
    if key is not None:
        unused = Q(last_used_at=None) | Q(last_used_at__lt=Now() - KEY_USED_EVERY)
        # The condition is in the statement, so that a thousand calls a minute write once.
        ApiKey.objects.filter(unused, pk=key.pk).update(last_used_at=Now())
    return key
