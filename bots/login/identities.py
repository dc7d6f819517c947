"""Find or create the person whom the provider of single sign-on names, and keep their groups as it says."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import transaction

from bots import audit
from bots.acts import Act
from bots.login.models import Identity
from jobsite.lib.names import fault

#: Why an entry of the audit log is there, where somebody only logged in.
REASON = "single sign-on"


class NotAllowed(Exception):
    """The provider vouches for somebody who may not log in here. The text is for them."""


def person_of(claims: Mapping[str, Any]) -> User:
    """Return the person of these claims, created at the first login. NotAllowed, with the reason, otherwise.

    A new person has no rights but those of the groups in `OIDC_GROUPS`. The subject decides who somebody is, and never
    a name: a name that somebody here has already may belong to another person there.
    """
    with transaction.atomic():
        identity = Identity.objects.select_related("user").filter(issuer=claims["iss"], subject=claims["sub"]).first()
        user = identity.user if identity is not None else _new_person(claims)
        _set_groups(user, claims)
    # They are on record now, so that an administrator can give them rights.
    if not user.is_active:
        raise NotAllowed(f"You ({user.get_username()}) are not active here. Ask an administrator.")
    if not user.is_staff:
        raise NotAllowed(f"You ({user.get_username()}) have no rights here yet. Ask an administrator.")
    return user


@transaction.atomic
def connect(user: User, claims: Mapping[str, Any]) -> None:
    """Let this person, who is logged in, log in with this identity. NotAllowed if it is another's."""
    taken = Identity.objects.filter(issuer=claims["iss"], subject=claims["sub"]).exclude(user=user)
    if taken.exists():
        raise NotAllowed("This identity belongs to another person here.")
    former = Identity.objects.filter(user=user).first()
    if former is not None:
        audit.record(Act.DELETE, [audit.subject(former, _named(former))], by=audit.oneself(user))
        former.delete()
    _add_identity(user, claims)


def _add_identity(user: User, claims: Mapping[str, Any]) -> None:
    identity = Identity.objects.create(user=user, issuer=claims["iss"], subject=claims["sub"])
    audit.record(Act.CREATE, [audit.subject(identity, after=_named(identity))], by=audit.oneself(user))


def _named(identity: Identity) -> dict[str, str]:
    return {"user": identity.user.get_username(), "issuer": identity.issuer, "subject": identity.subject}


def _new_person(claims: Mapping[str, Any]) -> User:
    name = str(claims.get(settings.OIDC_USERNAME_CLAIM) or "")
    if not name or len(name) > 150 or fault(name):
        raise NotAllowed(f"The provider does not give a usable name ({settings.OIDC_USERNAME_CLAIM}).")
    user, created = User.objects.get_or_create(username=name, defaults={"email": str(claims.get("email") or "")[:254]})
    if not created:
        raise NotAllowed(
            f"There is a person called {name} here already. If it is you, log in with your password, and connect "
            "single sign-on under “Your login”."
        )
    user.set_unusable_password()
    user.save(update_fields=["password"])
    given = {"username": user.username, "email": user.email}
    audit.record(Act.CREATE, [audit.subject(user, after=given)], by=audit.oneself(user), reason=REASON)
    _add_identity(user, claims)
    return user


def _set_groups(user: User, claims: Mapping[str, Any]) -> None:
    """Give the groups that the provider's groups stand for, and take those away. Other groups stay as they are."""
    mapping: Mapping[str, str] = settings.OIDC_GROUPS or {}
    if not mapping:
        return
    given = claims.get(settings.OIDC_GROUPS_CLAIM) or []
    named = {mapping[one] for one in (given if isinstance(given, list) else [given]) if one in mapping}
    before = _rights(user)
    user.groups.remove(*Group.objects.filter(name__in=set(mapping.values()) - named))
    groups = Group.objects.filter(name__in=named)
    user.groups.add(*groups)
    if groups and not user.is_staff:
        user.is_staff = True
        user.save(update_fields=["is_staff"])
    if (after := _rights(user)) != before:
        audit.record(Act.CHANGE, [audit.subject(user, before, after)], by=audit.oneself(user), reason=REASON)


def _rights(user: User) -> dict[str, Any]:
    return {"groups": sorted(user.groups.values_list("name", flat=True)), "is_staff": user.is_staff}
