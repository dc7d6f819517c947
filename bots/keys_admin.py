"""Show API keys in the admin, create them, and revoke them. A key is shown once."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from bots import audit, people, roster
from bots.acts import SCOPES
from bots.audited_admin import AuditedAdmin
from bots.models import ApiKey
from jobsite.lib.admin import count_of
from jobsite.lib.badges import NONE, age
from jobsite.lib.clock import check_usable, database_now

#: What a new key is given.
GIVEN = ["user", "name", "kinds", "verbs", "read_only", "expires_at"]


def show_token(admin_: admin.ModelAdmin, request: HttpRequest, owner: object, token: str) -> HttpResponse:
    """Show a new token. It is not stored, so this is the only time."""
    context = admin_.admin_site.each_context(request) | {
        "title": f"The token of {owner}",
        "token": token,
        "owner": owner,
        "opts": admin_.opts,
    }
    response = TemplateResponse(request, "admin/bots/token.html", context)
    response["Cache-Control"] = "no-store"
    return response


class KeyForm(forms.ModelForm):
    """A new key."""

    verbs = forms.MultipleChoiceField(
        label="Scope",
        choices=[(str(scope), str(scope)) for scope in SCOPES],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="What it may do. None ticked: all that its user may do.",
    )

    class Meta:
        model = ApiKey
        fields = GIVEN

    def clean_expires_at(self) -> Any:
        """Refuse a moment that has passed."""
        at = self.cleaned_data["expires_at"]
        check_usable(at)
        if at is not None and at <= database_now():
            raise forms.ValidationError("This moment has passed. Give a later one, or none.")
        return at


@admin.register(ApiKey)
class ApiKeyAdmin(AuditedAdmin):
    """The keys of operators and producers."""

    form = KeyForm
    list_display = ["shown_prefix", "owner", "name", "scope", "made", "used", "used_from", "expires", "revoked"]
    list_select_related = ["user"]
    search_fields = ["prefix", "name", "username"]
    actions = ["revoke"]
    adds_by_verb = True

    @admin.display(description="key", ordering="prefix")
    def shown_prefix(self, key: ApiKey) -> str:
        return f"{key.prefix}…"

    @admin.display(description="user", ordering="username")
    def owner(self, key: ApiKey) -> str:
        return str(key.user) if key.user else f"{key.username} (deleted)"

    @admin.display(description="scope")
    def scope(self, key: ApiKey) -> str:
        words = ["read-only"] * key.read_only + list(key.verbs) + [f"kind {kind}" for kind in key.kinds]
        return ", ".join(words) or NONE

    @admin.display(description="made", ordering="created_at")
    def made(self, key: ApiKey) -> str:
        return age(key.created_at)

    @admin.display(description="last used", ordering="last_used_at")
    def used(self, key: ApiKey) -> str:
        return age(key.last_used_at)

    @admin.display(description="from")
    def used_from(self, key: ApiKey) -> str:
        return key.last_used_from or NONE

    @admin.display(description="expires", ordering="expires_at")
    def expires(self, key: ApiKey) -> str:
        return age(key.expires_at)

    @admin.display(description="revoked", ordering="revoked_at")
    def revoked(self, key: ApiKey) -> str:
        return "its user was deleted" if key.user is None and key.revoked_at is None else age(key.revoked_at)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        return GIVEN if obj is None else self.list_display

    def has_add_permission(self, request: HttpRequest) -> bool:
        # A key acts as its user, as does who may set that user's password.
        return super().has_add_permission(request) and request.user.has_perm("auth.change_user")

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("bots.revoke_apikey")

    def save_model(self, request: HttpRequest, obj: ApiKey, form: forms.ModelForm, change: bool) -> None:
        given = dict(form.cleaned_data)
        user = given.pop("user")
        # A key acts as its user.
        if not people.covers(request.user, user):
            raise PermissionDenied(f"{user} has permissions that you do not have.")
        key, token = roster.create_key(user, **given, by=audit.caller(request))
        obj.pk, obj.prefix, obj._token = key.pk, key.prefix, token  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        return show_token(self, request, obj, obj._token)  # type: ignore[attr-defined]

    @admin.action(description="Revoke: these keys stop working at once", permissions=["revoke"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        done = roster.revoke_keys(keys, by=audit.caller(request))
        self.message_user(request, f"Revoked {count_of(done, 'key')}.", messages.WARNING)
