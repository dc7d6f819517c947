"""Log in whom a proxy has authenticated and names in a header (`REMOTE_USER_HEADER`). Off by default."""

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse

from bots.login import attempts
from bots.login.models import Outcome, Way
from jobsite.console.login import WAY, log_in
from jobsite.lib.addresses import client_address
from jobsite.lib.problems import PREFIX


class ProxyLoginMiddleware:
    """Keep the session at what the header says. A person must exist here; nobody is created.

    Only the header's text is trusted, and only with `BEHIND_PROXY`: settings refuse one without the other.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.REMOTE_USER_HEADER and not request.path_info.startswith(PREFIX):
            self._follow(request, request.headers.get(settings.REMOTE_USER_HEADER, ""))
        return self.get_response(request)

    def _follow(self, request: HttpRequest, name: str) -> None:
        by_proxy = request.session.get(WAY) == Way.PROXY
        if by_proxy and request.user.get_username() != name:
            logout(request)
        if not name or request.user.is_authenticated:
            return
        user = User.objects.filter(username=name, is_active=True).first() if name.isprintable() else None
        if user is None:
            attempts.record(name, client_address(request.META), Way.PROXY, Outcome.FAILED)
            return
        attempts.record(name, client_address(request.META), Way.PROXY, Outcome.GOOD)
        log_in(request, user, Way.PROXY, settings.AUTHENTICATION_BACKENDS[0])
