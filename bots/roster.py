"""Register, change, pause and revoke bots and API keys. Health and leases are not handled here.

Each function records each bot or key that it changed in the audit log: `by` is who acts, and `reason` the reason that
they gave.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from bots import audit, tokens
from bots.acts import Act
from bots.audit import COMMAND, Who
from bots.models import ApiKey, Bot
from jobsite.lib import outcomes

#: The fields of a pause, where there is none.
NOT_PAUSED: dict[str, Any] = {"paused": False, "paused_until": None, "pause_reason": ""}


@transaction.atomic
def register(
    *, name: str, kinds: Sequence[str] = (), capacity: int | None = None, expected: bool = True, by: Who = COMMAND
) -> tuple[Bot, str]:
    """Create a bot and its token, which is shown only once. IntegrityError when the name is taken.

    A bot that is not `expected` opens no incident when it stops calling.
    """
    token = tokens.new(tokens.BOT_PREFIX)
    given = {"kinds": list(kinds), "capacity": capacity, "expected": expected}
    bot = Bot.objects.create(name=name, **given, token_digest=token.digest, token_prefix=token.prefix)
    audit.record(Act.REGISTER, [audit.subject(bot, after=given)], by=by)
    return bot, token.text


def rotate(bot: Bot, *, by: Who = COMMAND) -> str:
    """Give `bot` a new token; the old one stops working with the next request."""
    token = tokens.new(tokens.BOT_PREFIX)
    _change(Act.ROTATE, Bot.objects.filter(pk=bot.pk), by, token_digest=token.digest, token_prefix=token.prefix)
    return token.text


def revoke(bots: QuerySet[Bot], *, by: Who = COMMAND) -> int:
    """Revoke these bots' tokens. They hold their jobs until these are released or expire. Returns how many."""
    return _change(Act.REVOKE, bots.exclude(token_digest=None), by, token_digest=None, token_prefix="")


def pause(bots: QuerySet[Bot], *, until: datetime | None = None, by: Who = COMMAND, reason: str = "") -> int:
    """Pause these bots: they get no new jobs, until that moment if there is one, and finish those they hold.

    Returns how many that changed.
    """
    fields = {"paused": True, "paused_until": until, "pause_reason": reason}
    return _change(Act.PAUSE, bots.exclude(**fields), by, reason, **fields)


def resume(bots: QuerySet[Bot], *, by: Who = COMMAND, reason: str = "") -> int:
    """Resume these bots: they get new jobs. Returns how many were paused."""
    return _change(Act.RESUME, bots.filter(paused=True), by, reason, **NOT_PAUSED)


@transaction.atomic
def end_pauses() -> None:
    """Resume the bots whose pause has ended by itself. Those that are locked are left to the next time."""
    over = Bot.objects.filter(paused=True, paused_until__lte=Now()).order_by("pk")
    free = list(over.select_for_update(no_key=True, skip_locked=True).values_list("pk", flat=True))
    Bot.objects.filter(pk__in=free).update(**NOT_PAUSED)


def expect(bots: QuerySet[Bot], expected: bool, *, by: Who = COMMAND, reason: str = "") -> int:
    """Set whether these bots open an incident when they stop calling. Returns how many that changed."""
    verb = Act.EXPECT if expected else Act.DO_NOT_EXPECT
    return _change(verb, bots.exclude(expected=expected), by, reason, expected=expected)


def _change(verb: Act, bots: QuerySet[Bot], by: Who, reason: str = "", **fields: Any) -> int:
    """Set these fields and record each bot. Rows are locked first, so that the entries name the bots that changed."""
    with transaction.atomic(), outcomes.before_commit():
        rows = list(bots.order_by("pk").select_for_update(no_key=True, of=("self",)))
        before = {bot.pk: {name: _shown(getattr(bot, name)) for name in fields} for bot in rows}
        changed = Bot.objects.filter(pk__in=[bot.pk for bot in rows]).update(**fields)
        after = {name: _shown(value) for name, value in fields.items()}
        subjects = []
        for bot in rows:
            same = {name for name, value in after.items() if before[bot.pk][name] == value}
            sides = [{n: v for n, v in side.items() if n not in same} for side in (before[bot.pk], after)]
            subjects.append(audit.subject(bot, *sides))
        audit.record(verb, subjects, by=by, reason=reason)
    return changed


def _shown(value: Any) -> Any:
    """A value as JSON has it: a digest is secret, so that only its presence counts."""
    return bool(value) if isinstance(value, bytes | memoryview) else value


@transaction.atomic
def create_key(
    user: User,
    name: str = "",
    *,
    kinds: Sequence[str] = (),
    verbs: Sequence[str] = (),
    read_only: bool = False,
    expires_at: datetime | None = None,
    by: Who = COMMAND,
) -> tuple[ApiKey, str]:
    """Create a key that acts as `user`, within this scope. Returns it and its text, which is shown only once."""
    token = tokens.new(tokens.KEY_PREFIX)
    username = user.get_username()
    given = {"name": name, "kinds": list(kinds), "verbs": list(map(str, verbs)), "read_only": read_only}
    given |= {"expires_at": expires_at}
    key = ApiKey.objects.create(user=user, username=username, prefix=token.prefix, digest=token.digest, **given)
    audit.record(Act.CREATE, [audit.subject(key, after={"user": username, **given}, of=username)], by=by)
    return key, token.text


def revoke_keys(keys: QuerySet[ApiKey], *, by: Who = COMMAND) -> int:
    """Revoke these keys: they stop working with the next request. Returns how many were valid before."""
    with transaction.atomic(), outcomes.before_commit():
        valid = list(keys.filter(revoked_at=None).order_by("pk").select_for_update(no_key=True, of=("self",)))
        revoked = ApiKey.objects.filter(pk__in=[key.pk for key in valid]).update(revoked_at=Now())
        subjects = [audit.subject(key, {"revoked": False}, {"revoked": True}, of=key.username) for key in valid]
        audit.record(Act.REVOKE, subjects, by=by)
    return revoked
