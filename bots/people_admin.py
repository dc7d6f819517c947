"""Users and groups in the admin, as Django has them, with each change in the audit log.

Nobody gives more than they have: who is no superuser cannot edit people or groups with permissions that they lack.
"""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from bots import audit, people
from bots.audited_admin import AuditedAdmin

admin.site.unregister([User, Group])


#: What the form of a person says of a field, in the words of the docs: `{field: (label, help)}`.
WORDED = {
    "is_active": ("Active", "Without it nobody logs in with this name. Use it in place of deleting a person."),
    "is_staff": ("Staff status", "May log in to the console."),
    "is_superuser": ("Superuser status", "May do everything, without a role."),
    "groups": ("Roles", "A person may do what each of their roles may."),
    "user_permissions": ("Further permissions", "What this person may do beside their roles."),
}


class _WithinOwnPermissions(AuditedAdmin):
    """Offer what the user has, and guard who has more."""

    list_in_transaction = True

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.related_model is Permission:
            kwargs["queryset"] = people.grantable(request.user)
        if db_field.related_model is Group:
            able = [group.pk for group in Group.objects.all() if people.covers_group(request.user, group)]
            kwargs["queryset"] = Group.objects.filter(pk__in=able)
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and self.covered(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and self.covered(request, obj)

    def covered(self, request: HttpRequest, obj: Any) -> bool:
        """Whether the user has all that this object has or gives."""
        if isinstance(obj, Group):
            return people.covers_group(request.user, obj)
        return obj is None or people.covers(request.user, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        # Of several, too, none may have more than who deletes them.
        deleted, counts, needed, protected = super().get_deleted_objects(objs, request)
        if not all(self.covered(request, obj) for obj in objs):
            needed = {*needed, str(self.opts.verbose_name)}
        return deleted, counts, needed, protected


@admin.register(User)
class PersonAdmin(_WithinOwnPermissions, UserAdmin):
    """Users. The history keeps the name of one who is deleted."""

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        return [] if request.user.is_superuser else ["is_superuser"]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and db_field.name in WORDED:
            field.label, field.help_text = WORDED[db_field.name]
        return field

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        with transaction.atomic():
            return super().user_change_password(request, id, form_url)

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        self.delete_queryset(request, User.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        people.delete_users(User.objects.filter(pk__in=queryset.values("pk")), by=audit.caller(request))


@admin.register(Group)
class PermissionGroupAdmin(_WithinOwnPermissions, GroupAdmin):  # type: ignore[misc]
    """Groups of permissions, the roles among them."""
