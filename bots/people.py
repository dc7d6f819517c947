"""Who may act for whom, what happens to the keys of people who are deleted, and superusers made by a command."""

from typing import Any

from django.contrib.auth.models import Group, Permission, User, UserManager
from django.db import transaction
from django.db.models import QuerySet

from bots import audit, roster
from bots.acts import Act
from bots.audit import COMMAND, Who
from bots.models import ApiKey


def covers(user: Any, other: User) -> bool:
    """Whether `user` has all that `other` has, and so gains nothing by acting as them."""
    if user.is_superuser:
        return True
    # An inactive user has no permissions just now.
    if other.is_superuser:
        return False
    given = Permission.objects.filter(user=other) | Permission.objects.filter(group__user=other)
    return bool(named(given) <= user.get_all_permissions())


def covers_group(user: Any, group: Group) -> bool:
    """Whether `user` has all that this group gives."""
    return bool(user.is_superuser) or named(group.permissions.all()) <= user.get_all_permissions()


def grantable(user: Any) -> QuerySet[Permission]:
    """The permissions that this user may give to others: those that they have."""
    permissions = Permission.objects.select_related("content_type")
    if user.is_superuser:
        return permissions
    codenames = {name.partition(".")[2] for name in user.get_all_permissions()}
    able = [p.pk for p in permissions.filter(codename__in=codenames) if named([p]) <= user.get_all_permissions()]
    return permissions.filter(pk__in=able)


def named(permissions: Any) -> set[str]:
    """Permissions as `has_perm` takes them."""
    if isinstance(permissions, QuerySet):
        return {f"{app}.{name}" for app, name in permissions.values_list("content_type__app_label", "codename")}
    return {f"{p.content_type.app_label}.{p.codename}" for p in permissions}


@transaction.atomic
def delete_users(users: QuerySet[User], *, by: Who) -> None:
    """Delete these users. Their keys are revoked; keys, history and audit log keep their names."""
    roster.revoke_keys(ApiKey.objects.filter(user__in=users), by=by)
    users.delete()


class RecordedUsers(UserManager[User]):
    """What Django's `createsuperuser` calls, with the new person in the audit log."""

    def create_superuser(self, *args: Any, **fields: Any) -> User:
        with transaction.atomic():
            person = super().create_superuser(*args, **fields)
            after = {"username": person.get_username(), "email": person.email, "is_superuser": True}
            audit.record(Act.CREATE, [audit.subject(person, after=after)], by=COMMAND)
        return person
