"""Log in to the console: a password, and a code where the person has a second factor or must have one."""

import time
from typing import Any

import segno
from django import forms
from django.conf import settings
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url
from django.template.response import TemplateResponse
from django.utils.crypto import constant_time_compare

from bots.login import attempts, second_factor
from bots.login.attempts import TooManyFailures
from bots.login.models import Login, Outcome, Way
from jobsite.lib.addresses import client_address

#: In the session: the way of the login; who gave a right password and must give a code; the secret of a new app.
WAY, PENDING, NEW_SECRET = "login_way", "login_pending", "login_new_secret"
#: Seconds in which the code must follow the password.
PENDING_FOR = 600
#: Ways after which no further code is asked for.
STRONG = (Way.CODE, Way.RECOVERY, Way.SSO, Way.PROXY)


class PasswordForm(AdminAuthenticationForm):
    """Name and password. Nothing is compared after too many failures; `wait` is then the time in seconds."""

    attempt: Login
    wait = 0

    def clean(self) -> dict[str, Any]:
        name = self.cleaned_data.get("username")
        if name and self.cleaned_data.get("password"):
            try:
                self.attempt = attempts.begin(
                    name, client_address(self.request.META if self.request else {}), Way.PASSWORD
                )
            except TooManyFailures as error:
                self.wait = error.wait
                raise ValidationError(str(error), code="too_many") from None
        try:
            return super().clean()
        except ValidationError:
            if hasattr(self, "attempt"):
                attempts.end(self.attempt, Outcome.FAILED)
            raise


class PasswordView(LoginView):
    """The first step, and for most people the only one."""

    template_name = "admin/login.html"
    authentication_form = PasswordForm

    def form_valid(self, form: Any) -> HttpResponse:
        user, to = form.get_user(), self.get_success_url()
        if settings.SECOND_FACTOR_REQUIRED or second_factor.has_one(user):
            attempts.end(form.attempt, Outcome.CODE_NEEDED)
            remember(self.request, user, to)
            return redirect("admin:login_code")
        attempts.end(form.attempt, Outcome.GOOD)
        log_in(self.request, user, Way.PASSWORD, user.backend)
        return redirect(to)

    def form_invalid(self, form: Any) -> HttpResponse:
        return refused(super().form_invalid(form), form.wait)


class CodeForm(forms.Form):
    """A one-time code or a recovery code."""

    code = forms.CharField(
        max_length=40,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "autofocus": True, "spellcheck": "false"}),
    )


def code_view(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """The second step. Who must have a second factor and has none sets it up here."""
    pending = remembered(request)
    if pending is None:
        return redirect("admin:login")
    user, to = pending
    enrolling = not second_factor.has_one(user)
    form = CodeForm(request.POST if request.method == "POST" else None)
    wait, codes = 0, list[str]()
    if request.method == "POST" and form.is_valid():
        try:
            attempt = attempts.begin(user.get_username(), client_address(request.META), Way.CODE)
        except TooManyFailures as error:
            form.add_error("code", str(error))
            wait = error.wait
        else:
            given = form.cleaned_data["code"]
            if enrolling:
                codes = second_factor.turn_on(user, request.session.get(NEW_SECRET, ""), given)
            way = (Way.CODE if codes else None) if enrolling else second_factor.check(user, given)
            attempts.end(attempt, Outcome.GOOD if way else Outcome.FAILED, way)
            if way:
                log_in(request, user, way, request.session[PENDING]["backend"])
                return show_codes(request, codes, to) if codes else redirect(to)
            form.add_error("code", "This code is wrong, or was used before.")
    title = "Set up a second factor" if enrolling else "Enter a code"
    context |= {"title": title, "form": form, "enrolling": enrolling, "person": user.get_username()}
    if enrolling:
        context |= new_app(request, user)
    return refused(TemplateResponse(request, "admin/login_code.html", context), wait)


def refused(response: HttpResponse, wait: int) -> HttpResponse:
    """Make this the answer after too many failures, if there is a time to wait."""
    if wait:
        response.status_code = 429
        response["Retry-After"] = str(wait)
    return response


def log_in(request: HttpRequest, user: User, way: Way, backend: str) -> None:
    """Begin the session of this person."""
    request.session.pop(PENDING, None)
    request.session.pop(NEW_SECRET, None)
    login(request, user, backend=backend)
    request.session[WAY] = str(way)


def strong_enough(request: HttpRequest) -> bool:
    """Whether this session began with more than a password, where that is required."""
    return not settings.SECOND_FACTOR_REQUIRED or request.session.get(WAY) in STRONG


def remember(request: HttpRequest, user: Any, to: str) -> None:
    """Keep in the session whose password was right, and where they want to go."""
    request.session.cycle_key()
    request.session[PENDING] = {
        "user": user.pk,
        "backend": user.backend,
        # A password that is changed in between ends this.
        "hash": user.get_session_auth_hash(),
        "to": to,
        "until": time.time() + PENDING_FOR,
    }


def remembered(request: HttpRequest) -> tuple[User, str] | None:
    """Return who gave a right password a moment ago, and where they want to go."""
    pending = request.session.get(PENDING)
    if not pending or pending["until"] < time.time():
        return None
    user = User.objects.filter(pk=pending["user"], is_active=True, is_staff=True).first()
    if user is None or not constant_time_compare(pending["hash"], user.get_session_auth_hash()):
        return None
    return user, pending["to"]


def new_app(request: HttpRequest, user: User) -> dict[str, Any]:
    """Return the picture and the secret for an app. The same ones until they are confirmed by a code."""
    secret = request.session.setdefault(NEW_SECRET, second_factor.new_secret())
    picture = segno.make(second_factor.app_address(user, secret), error="m")
    grouped = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
    return {"picture": picture.svg_inline(scale=4, border=4, light="#ffffff", dark="#000000"), "secret": grouped}


def show_codes(request: HttpRequest, codes: list[str], to: str) -> HttpResponse:
    """Show recovery codes. They are not stored, so this is the only time."""
    from django.contrib import admin

    context = admin.site.each_context(request) | {"title": "Recovery codes", "codes": codes, "to": to}
    response = TemplateResponse(request, "admin/recovery_codes.html", context)
    response["Cache-Control"] = "no-store"
    return response


def home() -> str:
    """Where people go who did not say where."""
    return resolve_url("admin:index")
