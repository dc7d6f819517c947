"""Log in with a provider of OpenID Connect: there and back, with state, nonce and PKCE."""

from functools import cache
from typing import Any

import structlog
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from bots.login import attempts, identities
from bots.login.identities import NotAllowed
from bots.login.models import Outcome, Way
from jobsite.console.login import home, log_in
from jobsite.lib.addresses import client_address

log = structlog.stdlib.get_logger("jobsite.login")

#: In the session: where to go afterwards, and whether somebody who is logged in connects their identity.
TO, CONNECTING = "sso_to", "sso_connecting"
#: Seconds to wait for an answer of the provider.
TIMEOUT = 10


@cache
def _client(issuer: str, client_id: str) -> Any:
    # A fifth of the time that a process needs to start, and only sites with single sign-on use it.
    from authlib.integrations.django_client import OAuth

    oauth = OAuth()
    return oauth.register(
        "oidc",
        client_id=client_id,
        client_secret=settings.OIDC_CLIENT_SECRET,
        server_metadata_url=f"{issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={
            "scope": settings.OIDC_SCOPES,
            "code_challenge_method": "S256",
            "default_timeout": TIMEOUT,
        },
    )


def start(request: HttpRequest) -> HttpResponse:
    """Send the browser to the provider."""
    if not settings.OIDC_ISSUER:
        raise Http404("There is no single sign-on here.")
    to = request.GET.get("next", "")
    own = url_has_allowed_host_and_scheme(to, {request.get_host()}, require_https=request.is_secure())
    request.session[TO] = to if own else home()
    request.session[CONNECTING] = "connect" in request.GET and request.user.is_authenticated
    back = request.build_absolute_uri(reverse("admin:login_sso_done"))
    try:
        response: HttpResponse = _client(settings.OIDC_ISSUER, settings.OIDC_CLIENT_ID).authorize_redirect(
            request, back
        )
    except Exception as error:
        return _failed(request, error)
    return response


def done(request: HttpRequest) -> HttpResponse:
    """Take what the provider says, and log the person in."""
    if not settings.OIDC_ISSUER:
        raise Http404("There is no single sign-on here.")
    issuer, client_id = settings.OIDC_ISSUER, settings.OIDC_CLIENT_ID
    try:
        options = {
            "iss": {"essential": True, "values": _issuers(issuer)},
            "aud": {"essential": True, "values": [client_id]},
        }
        token = _client(issuer, client_id).authorize_access_token(request, claims_options=options)
        claims = dict(token["userinfo"])
    except Exception as error:
        # Authlib, its HTTP client and its reader of signatures have no common error.
        return _failed(request, error)
    # One spelling, whether the provider ends it with a slash or not.
    claims["iss"] = issuer.rstrip("/")
    name, address = str(claims.get(settings.OIDC_USERNAME_CLAIM) or claims["sub"]), client_address(request.META)
    to, connecting = request.session.pop(TO, home()), request.session.pop(CONNECTING, False)
    try:
        if connecting and request.user.is_authenticated:
            identities.connect(request.user, claims)
            messages.success(request, "Single sign-on is connected.")
            return redirect(to)
        user = identities.person_of(claims)
    except NotAllowed as refusal:
        attempts.record(name, address, Way.SSO, Outcome.FAILED)
        messages.error(request, str(refusal))
        return redirect("admin:login")
    attempts.record(user.get_username(), address, Way.SSO, Outcome.GOOD)
    log_in(request, user, Way.SSO, settings.AUTHENTICATION_BACKENDS[0])
    return redirect(to)


def _issuers(issuer: str) -> list[str]:
    """With the slash at its end and without, however it is written in the settings."""
    return [issuer.rstrip("/"), f"{issuer.rstrip('/')}/"]


def _failed(request: HttpRequest, error: Exception) -> HttpResponse:
    log.warning(f"single sign-on failed: {type(error).__name__}: {error}")
    attempts.record("", client_address(request.META), Way.SSO, Outcome.FAILED)
    messages.error(request, f"{settings.OIDC_NAME[:1].upper()}{settings.OIDC_NAME[1:]} failed. Try again.")
    return redirect("admin:login")
