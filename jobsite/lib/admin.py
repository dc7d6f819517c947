"""Share base classes and texts among the admin pages of all apps."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme


def count_of(n: int, singular: str, plural: str = "") -> str:
    """Format a count: `1 bot`, `2 bots`."""
    return f"{n} {singular if n == 1 else plural or singular + 's'}"


class GuardedActions(admin.ModelAdmin):
    """Answer 403 to an action that the user may not use. Django alone redirects with "no action selected"."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        action = request.POST.get("action")
        ours = {name if isinstance(name, str) else name.__name__ for name in self.actions or ()}
        if action in ours and action not in self.get_actions(request):
            raise PermissionDenied
        title = {"title": str(self.opts.verbose_name_plural)[:1].upper() + str(self.opts.verbose_name_plural)[1:]}
        response = super().changelist_view(request, title | (extra_context or {}))
        # A button on another page posts the list's action, and returns to its own page.
        back = request.POST.get("back", "")
        if response.status_code == 302 and url_has_allowed_host_and_scheme(back, {request.get_host()}):
            return redirect(back)
        return response
