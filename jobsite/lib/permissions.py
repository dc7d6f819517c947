"""Know which permission a person was refused, and what it is called."""

from typing import Any

from django.apps import apps
from django.contrib.auth import get_permission_codename
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Permission
from django.http import HttpRequest


class PermissionsBackend(ModelBackend):
    """Django's users and permissions. A user remembers the last two permissions that were refused."""

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        """Return a user's permissions, own and of groups: read in one query, where Django has two."""
        plain = user_obj.is_active and not (user_obj.is_anonymous or user_obj.is_superuser) and obj is None
        if plain and not hasattr(user_obj, "_perm_cache"):
            own, of_groups = Permission.objects.filter(user=user_obj), Permission.objects.filter(group__user=user_obj)
            found = own.union(of_groups).values_list("content_type__app_label", "codename").order_by()
            user_obj._perm_cache = {f"{app}.{codename}" for app, codename in found}
        return set(super().get_all_permissions(user_obj, obj))

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        allowed: bool = super().has_perm(user_obj, perm, obj)
        before = getattr(user_obj, "refused", ())
        if not allowed and before[-1:] != (perm,):
            user_obj.refused = (*before[-1:], perm)
        return allowed


def refused(request: HttpRequest) -> list[str]:
    """Return the permissions, any of which the person of this request lacks for what was refused last."""
    asked: tuple[str, ...] = getattr(getattr(request, "user", None), "refused", ())
    viewing = asked and asked[0] == asked[-1].replace(".change_", ".view_")
    # The admin's pages may be seen by those who may view or change their model, and it asks for both.
    return list(asked if viewing else asked[-1:])


def label(permission: str) -> str:
    """Return what a permission is called, as the admin lists it: `Can release a job`."""
    app, _, codename = permission.partition(".")
    for model in apps.get_app_config(app).get_models() if app in apps.app_configs else ():
        own = {name: str(words) for name, words in model._meta.permissions}
        for action in model._meta.default_permissions:
            own[get_permission_codename(action, model._meta)] = f"Can {action} {model._meta.verbose_name_raw}"
        if codename in own:
            return own[codename]
    return permission
