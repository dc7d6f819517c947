"""Register, pause and revoke bots and API keys. Health and leases are not handled here.

Each function logs a line for each bot or key that it changed: `by` is the name of the user who acted, and `reason` the
reason that they gave.
"""

from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from bots import audit, tokens
from bots.models import ApiKey, Bot


def register(
    *, name: str, kinds: Sequence[str] = (), capacity: int | None = None, expected: bool = True, by: str = ""
) -> tuple[Bot, str]:
    """Create a bot and its token, which is shown only once. IntegrityError when the name is taken.

    A bot that is not `expected` opens no incident when it stops calling.
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
    audit.record("register", [{"bot": bot.name, "bot_id": bot.pk}], by=by)
    return bot, token.text


def rotate(bot: Bot, *, by: str = "") -> str:
    """Give `bot` a new token; the old one stops working with the next request."""
    token = tokens.new(tokens.BOT_PREFIX)
    _change("rotate", Bot.objects.filter(pk=bot.pk), by, token_digest=token.digest, token_prefix=token.prefix)
    return token.text


def revoke(bots: QuerySet[Bot], *, by: str = "") -> int:
    """Revoke these bots' tokens. They hold their jobs until these are released or expire. Returns how many."""
    return _change("revoke", bots.exclude(token_digest=None), by, token_digest=None, token_prefix="")


def pause(bots: QuerySet[Bot], *, by: str = "", reason: str = "") -> int:
    """Pause these bots: they get no new jobs and finish those they hold. Returns how many were not paused before."""
    return _change("pause", bots.filter(paused=False), by, reason, paused=True)


def resume(bots: QuerySet[Bot], *, by: str = "", reason: str = "") -> int:
    """Resume these bots: they get new jobs. Returns how many were paused."""
    return _change("resume", bots.filter(paused=True), by, reason, paused=False)


def expect(bots: QuerySet[Bot], expected: bool, *, by: str = "", reason: str = "") -> int:
    """Set whether these bots open an incident when they stop calling. Returns how many that changed."""
    verb = "expect" if expected else "do_not_expect"
    return _change(verb, bots.exclude(expected=expected), by, reason, expected=expected)


def clear_quarantine(bots: QuerySet[Bot], *, by: str = "", reason: str = "") -> int:
    """End the quarantine of these bots; expiries count from now. Returns how many were in quarantine."""
    cleared = {"quarantined_at": None, "quarantine_reason": "", "cleared_at": Now()}
    return _change("clear_quarantine", bots.exclude(quarantined_at=None), by, reason, **cleared)


def _change(verb: str, bots: QuerySet[Bot], by: str, reason: str = "", **fields: Any) -> int:
    """Set these fields and log each bot. Rows are locked first, so that the lines name the bots that changed."""
    with transaction.atomic():
        locked = bots.order_by("pk").select_for_update(no_key=True, of=("self",))
        rows = [{"bot": name, "bot_id": pk} for pk, name in locked.values_list("pk", "name")]
        changed = Bot.objects.filter(pk__in=[row["bot_id"] for row in rows]).update(**fields)
        audit.record(verb, rows, by=by, reason=reason)
    return changed


def create_key(user: User, name: str = "", *, by: str = "") -> tuple[ApiKey, str]:
    """Create a key that acts as `user`. Returns it and its text, which is shown only once."""
    token = tokens.new(tokens.KEY_PREFIX)
    key = ApiKey.objects.create(user=user, name=name, prefix=token.prefix, digest=token.digest)
    audit.record("create", [{"key": key.pk, "of": user.get_username()}], by=by)
    return key, token.text


def revoke_keys(keys: QuerySet[ApiKey], *, by: str = "") -> int:
    """Revoke these keys: they stop working with the next request. Returns how many were valid before."""
    with transaction.atomic():
        valid = keys.filter(revoked_at=None).order_by("pk").select_for_update(no_key=True, of=("self",))
        rows = [{"key": pk, "of": user} for pk, user in valid.values_list("pk", "user__username")]
        revoked = ApiKey.objects.filter(pk__in=[row["key"] for row in rows]).update(revoked_at=Now())
        audit.record("revoke", rows, by=by)
    return revoked
