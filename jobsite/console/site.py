"""The admin's site: its name, the guard of every page, and the pages to log in."""

from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.decorators import method_decorator
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django_htmx.http import HttpResponseClientRedirect

from bots import audit
from bots.acts import Act
from jobsite.console import login as steps
from jobsite.console import single_sign_on, your_login
from jobsite.lib import unfinished
from jobsite.lib.admin import GuardedActions
from jobsite.lib.version import VERSION


class ConsoleSite(admin.AdminSite):
    """The admin's site. Every page of a model has `GuardedActions`, those of Django and of libraries too."""

    site_header = "Jobsite"
    index_title = "Home"
    # The links at the top of each page replace the sidebar, which leaves the full width for content.
    enable_nav_sidebar = False

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        base = admin_class or admin.ModelAdmin
        if not issubclass(base, GuardedActions):
            base = type(base.__name__, (GuardedActions, base), {"__module__": base.__module__, "__doc__": base.__doc__})
        super().register(model_or_iterable, base, **options)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        return super().each_context(request) | {"jobsite_version": VERSION}

    def has_permission(self, request: HttpRequest) -> bool:
        return super().has_permission(request) and steps.strong_enough(request)

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Guard a page. What was asked of it when the session had ended is asked again after the login."""
        guarded = super().admin_view(view, cacheable)

        @wraps(guarded)
        def page(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if request.method == "POST" and not self.has_permission(request):
                return _ask_to_log_in(request, guarded(request, *args, **kwargs))
            again = request.method == "GET" and self.has_permission(request) and unfinished.take(request)
            if again:
                messages.warning(request, unfinished.words(request))
            response = guarded(request, *args, **kwargs)
            if again:
                response.delete_cookie(unfinished.COOKIE, samesite="Lax")
            return response

        return page

    def get_urls(self) -> Any:
        own_pages = [
            path("login/code/", self.login_code, name="login_code"),
            path("login/sso/", never_cache(single_sign_on.start), name="login_sso"),
            path("login/sso/done/", never_cache(single_sign_on.done), name="login_sso_done"),
            path("your-login/", self.admin_view(self.your_login), name="your_login"),
        ]
        return [*own_pages, *super().get_urls()]

    @method_decorator(never_cache)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method == "GET" and self.has_permission(request):
            return redirect("admin:index")
        to = request.POST.get(REDIRECT_FIELD_NAME) or request.GET.get(REDIRECT_FIELD_NAME) or steps.home()
        context = self._step(request) | {
            "title": "Log in",
            "username": request.user.get_username(),
            "weak": super().has_permission(request),
            "sso": settings.OIDC_ISSUER and settings.OIDC_NAME,
            "sso_query": urlencode({REDIRECT_FIELD_NAME: to}),
            REDIRECT_FIELD_NAME: to,
        }
        view = steps.PasswordView.as_view(extra_context=context | (extra_context or {}))
        return view(request)  # type: ignore[return-value]

    @method_decorator([never_cache, csrf_protect])
    def login_code(self, request: HttpRequest) -> HttpResponse:
        """The second step of logging in."""
        return steps.code_view(request, self._step(request))

    def your_login(self, request: HttpRequest) -> HttpResponse:
        """A person's own page."""
        return your_login.view(request, self.each_context(request))

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        with transaction.atomic():
            response = super().password_change(request, extra_context)
            if response.status_code == 302:
                user: Any = request.user
                hidden = {"password": True}
                audit.record(Act.CHANGE, [audit.subject(user, hidden, hidden)], by=audit.oneself(user))
        return response

    def _step(self, request: HttpRequest) -> dict[str, Any]:
        return self.each_context(request) | {"subtitle": None, "app_path": request.get_full_path()}


def _ask_to_log_in(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Keep the form through the login that this response leads to. A script's request takes the whole page there."""
    to = response.get("Location", "")
    if not to.startswith(reverse("admin:login")):
        return response
    if request.htmx:  # type: ignore[attr-defined]
        response = HttpResponseClientRedirect(to)
    unfinished.keep_form(request, response)
    return response
