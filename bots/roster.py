"""Who is in the fleet: bots and keys come in, change their tokens, pause and go. Health and leases are not ours."""

from collections.abc import Sequence

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.db.models.functions import Now

from bots import tokens
from bots.models import ApiKey, Bot


def register(
    *, name: str, kinds: Sequence[str] = (), capacity: int | None = None, expected: bool = True
) -> tuple[Bot, str]:
    """A new bot and its token, which is shown this once. IntegrityError when the name is taken.

    One that is not `expected` is not missed when it stops calling.
    """
    token = tokens.new(tokens.BOT_PREFIX)
    bot = Bot.objects.create(
        name=name,
        kinds=list(kinds),
        capacity=capacity,
        expected=expected,
        token_digest=token.digest,
        token_prefix=token.prefix,
    )
    return bot, token.text


def rotate(bot: Bot) -> str:
    """A new token for `bot`; the old one stops working with the next request."""
    token = tokens.new(tokens.BOT_PREFIX)
    Bot.objects.filter(pk=bot.pk).update(token_digest=token.digest, token_prefix=token.prefix)
    return token.text


def revoke(bots: QuerySet[Bot]) -> int:
    """Take these bots' tokens away. What they hold stays theirs until it is released or the sweep returns it."""
    return bots.exclude(token_digest=None).update(token_digest=None, token_prefix="")


def pause(bots: QuerySet[Bot]) -> int:
    """No new jobs for these bots; they finish what they hold. Returns how many were not paused before."""
    return bots.filter(paused=False).update(paused=True)


def resume(bots: QuerySet[Bot]) -> int:
    """New jobs again for these bots. Returns how many were paused."""
    return bots.filter(paused=True).update(paused=False)


def clear_quarantine(bots: QuerySet[Bot]) -> int:
    """New jobs again for bots whose jobs expired too often; expiries count from now. Returns how many."""
    quarantined = bots.exclude(quarantined_at=None)
    return quarantined.update(quarantined_at=None, quarantine_reason="", cleared_at=Now())


def create_key(user: User, name: str = "") -> tuple[ApiKey, str]:
    """A new key that acts as `user`, and its text, which is shown this once."""
    token = tokens.new(tokens.KEY_PREFIX)
    key = ApiKey.objects.create(user=user, name=name, prefix=token.prefix, digest=token.digest)
    return key, token.text


def revoke_keys(keys: QuerySet[ApiKey]) -> int:
    """These keys stop working with the next request. Returns how many were good before."""
    return keys.filter(revoked_at=None).update(revoked_at=Now())
