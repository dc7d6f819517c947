"""The record of logins and people's second factors in the admin."""

from typing import Any

from django.contrib import admin
from django.contrib.admin import ShowFacets
from django.http import HttpRequest

from bots.audited_admin import AuditedAdmin
from bots.login.models import Login, SecondFactor
from jobsite.lib.admin import GuardedActions
from jobsite.lib.badges import age, badge


class _ReadOnly(GuardedActions):
    show_facets = ShowFacets.NEVER
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Login)
class LoginAdmin(_ReadOnly):
    """Who logged in or tried to, from where and when."""

    list_display = ["ago", "username", "address", "way", "shown_outcome"]
    list_display_links = None
    list_filter = ["outcome", "way"]
    search_fields = ["=username", "=address"]
    sortable_by = ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # The sweep deletes old ones; nobody else does.
        return False

    @admin.display(description="ago")
    def ago(self, row: Login) -> str:
        return age(row.at)

    @admin.display(description="outcome")
    def shown_outcome(self, row: Login) -> str:
        return badge(row.outcome)


@admin.register(SecondFactor)
class SecondFactorAdmin(_ReadOnly, AuditedAdmin):
    """Who has a second factor. Deleting it lets somebody in who has lost theirs; the secret is shown to nobody."""

    list_in_transaction = True
    list_display = ["user", "on_for", "codes_left"]
    list_select_related = ["user"]
    search_fields = ["user__username"]
    fields = ["user", "on_for", "codes_left"]
    readonly_fields = ["user", "on_for", "codes_left"]

    @admin.display(description="on for")
    def on_for(self, row: SecondFactor) -> str:
        return age(row.since)

    @admin.display(description="recovery codes left")
    def codes_left(self, row: SecondFactor) -> str:
        return str(len(row.recovery_digests))
