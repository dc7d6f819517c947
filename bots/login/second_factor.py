"""One-time codes of a person's app (TOTP, RFC 6238), and recovery codes for when the app is lost."""

import hashlib
import hmac
import re
import secrets
from typing import Any

import pyotp
from django.contrib.auth.models import User
from django.db import transaction

from bots import audit
from bots.acts import Act
from bots.audit import Who
from bots.login.models import SecondFactor, Way
from jobsite.lib.clock import database_now

#: Seconds of one code, and how many before and after the present one are taken, for clocks that differ.
STEP, STEPS_AROUND = 30, 1
RECOVERY_CODES = 10
#: No letter or digit that is read as another.
ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"


def has_one(user: Any) -> bool:
    """Whether this person has turned it on."""
    return SecondFactor.objects.filter(user=user.pk).exists()


def new_secret() -> str:
    """Make a secret for an app. It counts only once `turn_on` has seen a code of it."""
    return pyotp.random_base32()


def app_address(user: User, secret: str) -> str:
    """Return what the app reads from the picture."""
    return str(pyotp.TOTP(secret).provisioning_uri(name=user.get_username(), issuer_name="Jobsite"))


def turn_on(user: User, secret: str, code: str) -> list[str]:
    """Store the secret if the code is one of it. Returns the recovery codes, shown once; none if the code is wrong."""
    step = _step_of(secret, code, 0)
    if step is None:
        return []
    with transaction.atomic():
        SecondFactor.objects.filter(user=user).delete()
        codes = [_new_code() for _ in range(RECOVERY_CODES)]
        factor = SecondFactor.objects.create(
            user=user, secret=secret, last_step=step, recovery_digests=[_digest(one) for one in codes]
        )
        audit.record(Act.CREATE, [audit.subject(factor, after=_count(factor))], by=audit.oneself(user))
    return codes


def new_codes(user: User) -> list[str]:
    """Make recovery codes in place of the old ones. They are returned once; only digests are stored.

    None if the second factor was turned off just now.
    """
    codes = [_new_code() for _ in range(RECOVERY_CODES)]
    with transaction.atomic():
        factor = _locked(user)
        if factor is None:
            return []
        before = _count(factor)
        factor.recovery_digests = [_digest(one) for one in codes]
        factor.save(update_fields=["recovery_digests"])
        audit.record(Act.ROTATE, [audit.subject(factor, before, _count(factor))], by=audit.oneself(user))
    return codes


def check(user: User, code: str) -> Way | None:
    """Return which sort of code this is, and use it up. None: it is wrong, or was used before."""
    with transaction.atomic():
        factor = _locked(user)
        if factor is None:
            return None
        step = _step_of(factor.secret, code, factor.last_step)
        if step is not None:
            factor.last_step = step
            factor.save(update_fields=["last_step"])
            return Way.CODE
        digest = _digest(code)
        if digest in factor.recovery_digests:
            factor.recovery_digests.remove(digest)
            factor.save(update_fields=["recovery_digests"])
            return Way.RECOVERY
    return None


def turn_off(user: Any, *, by: Who) -> bool:
    """Delete it. False if there was none."""
    with transaction.atomic():
        factor = _locked(user)
        if factor is None:
            return False
        audit.record(Act.DELETE, [audit.subject(factor, _count(factor))], by=by)
        factor.delete()
    return True


def _locked(user: Any) -> SecondFactor | None:
    factors = SecondFactor.objects.select_related("user").select_for_update(of=("self",))
    return factors.filter(user=user.pk).first()


def _count(factor: SecondFactor) -> dict[str, int]:
    """What the audit log has of it."""
    return {"recovery_codes": len(factor.recovery_digests)}


def _step_of(secret: str, code: str, after: int) -> int | None:
    """Return the step of this code, if it is one of those around now and later than `after`."""
    code = re.sub(r"\s", "", code)
    if not re.fullmatch(r"[0-9]{6}", code, re.A):
        return None
    app, now = pyotp.TOTP(secret, interval=STEP), int(database_now().timestamp()) // STEP
    for step in range(now - STEPS_AROUND, now + STEPS_AROUND + 1):
        if step > after and hmac.compare_digest(app.generate_otp(step), code):
            return step
    return None


def _new_code() -> str:
    text = "".join(secrets.choice(ALPHABET) for _ in range(12))
    return f"{text[:4]}-{text[4:8]}-{text[8:]}"


def _digest(code: str) -> str:
    return hashlib.sha256(re.sub(r"[\s-]", "", code).lower().encode("utf-8", "replace")).hexdigest()
