"""Who is in the fleet: bots and keys come in, change their tokens, pause and go. Health and leases are not ours.

Each of these leaves a line in the log for each bot or key that it changed: `by` is the name of the user who did it, and
`reason` what he said.
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
    audit.tell("register", [{"bot": bot.name, "bot_id": bot.pk}], by=by)
    return bot, token.text


def rotate(bot: Bot, *, by: str = "") -> str:
    """A new token for `bot`; the old one stops working with the next request."""
    token = tokens.new(tokens.BOT_PREFIX)
    _change("rotate", Bot.objects.filter(pk=bot.pk), by, token_digest=token.digest, token_prefix=token.prefix)
    return token.text


def revoke(bots: QuerySet[Bot], *, by: str = "") -> int:
    """Take these bots' tokens away. What they hold stays theirs until it is released or the sweep returns it."""
    return _change("revoke", bots.exclude(token_digest=None), by, token_digest=None, token_prefix="")


def pause(bots: QuerySet[Bot], *, by: str = "", reason: str = "") -> int:
    """No new jobs for these bots; they finish what they hold. Returns how many were not paused before."""
    return _change("pause", bots.filter(paused=False), by, reason, paused=True)


def resume(bots: QuerySet[Bot], *, by: str = "", reason: str = "") -> int:
    """New jobs again for these bots. Returns how many were paused."""
    return _change("resume", bots.filter(paused=True), by, reason, paused=False)


def expect(bots: QuerySet[Bot], expected: bool, *, by: str = "", reason: str = "") -> int:
    """Whether these bots are missed when they stop calling. Returns for how many that is new."""
    verb = "expect" if expected else "do_not_expect"
    return _change(verb, bots.exclude(expected=expected), by, reason, expected=expected)


def clear_quarantine(bots: QuerySet[Bot], *, by: str = "", reason: str = "") -> int:
    """New jobs again for bots whose jobs expired too often; expiries count from now. Returns how many."""
    cleared = {"quarantined_at": None, "quarantine_reason": "", "cleared_at": Now()}
    return _change("clear_quarantine", bots.exclude(quarantined_at=None), by, reason, **cleared)


def _change(verb: str, bots: QuerySet[Bot], by: str, reason: str = "", **fields: Any) -> int:
    """Set these fields, and write down of whom. Rows are locked first, so that what is said is what was changed."""
    with transaction.atomic():
        locked = bots.order_by("pk").select_for_update(no_key=True, of=("self",))
        rows = [{"bot": name, "bot_id": pk} for pk, name in locked.values_list("pk", "name")]
        changed = Bot.objects.filter(pk__in=[row["bot_id"] for row in rows]).update(**fields)
        audit.tell(verb, rows, by=by, reason=reason)
    return changed


def create_key(user: User, name: str = "", *, by: str = "") -> tuple[ApiKey, str]:
    """A new key that acts as `user`, and its text, which is shown this once."""
    token = tokens.new(tokens.KEY_PREFIX)
    key = ApiKey.objects.create(user=user, name=name, prefix=token.prefix, digest=token.digest)
    audit.tell("create", [{"key": key.pk, "of": user.get_username()}], by=by)
    return key, token.text


def revoke_keys(keys: QuerySet[ApiKey], *, by: str = "") -> int:
    """These keys stop working with the next request. Returns how many were good before."""
    with transaction.atomic():
        good = keys.filter(revoked_at=None).order_by("pk").select_for_update(no_key=True, of=("self",))
        rows = [{"key": pk, "of": user} for pk, user in good.values_list("pk", "user__username")]
        revoked = ApiKey.objects.filter(pk__in=[row["key"] for row in rows]).update(revoked_at=Now())
        audit.tell("revoke", rows, by=by)
    return revoked
