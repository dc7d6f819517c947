"""A person's own page: their last logins, second factor, recovery codes and single sign-on."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from bots import audit
from bots.login import attempts, second_factor
from bots.login.attempts import TooManyFailures
from bots.login.models import Identity, Login, Outcome, SecondFactor, Way
from jobsite.console.login import NEW_SECRET, WAY, CodeForm, home, new_app, refused, show_codes
from jobsite.lib.addresses import client_address

#: The most logins on the page.
LOGINS_SHOWN = 20


def view(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Show the page, or do what one of its forms asks for."""
    user: Any = request.user
    form, wait = CodeForm(request.POST if request.method == "POST" else None), 0
    if request.method == "POST" and form.is_valid():
        try:
            answer = _with_code(request, request.POST.get("do", ""), form.cleaned_data["code"])
        except TooManyFailures as error:
            form.add_error("code", str(error))
            wait = error.wait
        else:
            if answer is not None:
                return answer
            form.add_error("code", "This code is wrong, or was used before.")
    factor = SecondFactor.objects.filter(user=user).first()
    context |= {
        "title": "Your login",
        "form": form,
        "factor": factor,
        "codes_left": len(factor.recovery_digests) if factor else 0,
        "required": settings.SECOND_FACTOR_REQUIRED,
        "logins": list(Login.objects.filter(username=user.get_username())[:LOGINS_SHOWN]),
        "sso": settings.OIDC_ISSUER and settings.OIDC_NAME,
        "identity": Identity.objects.filter(user=user).first(),
    }
    if factor is None:
        context |= new_app(request, user)
    return refused(TemplateResponse(request, "admin/your_login.html", context), wait)


def _with_code(request: HttpRequest, what: str, code: str) -> HttpResponse | None:
    """Do it if the code is right. None: it is wrong. A code is asked for each time, since a session may be stolen."""
    user: Any = request.user
    attempt = attempts.begin(user.get_username(), client_address(request.META), Way.CODE)
    if what == "on" and not second_factor.has_one(user):
        codes = second_factor.turn_on(user, request.session.get(NEW_SECRET, ""), code)
        attempts.end(attempt, Outcome.GOOD if codes else Outcome.FAILED)
        if not codes:
            return None
        request.session.pop(NEW_SECRET, None)
        request.session[WAY] = str(Way.CODE)
        return show_codes(request, codes, home())
    way = second_factor.check(user, code)
    attempts.end(attempt, Outcome.GOOD if way else Outcome.FAILED, way)
    if way is None:
        return None
    if what == "codes" and (codes := second_factor.new_codes(user)):
        return show_codes(request, codes, home())
    if what == "off":
        second_factor.turn_off(user, by=audit.caller(request))
        messages.success(request, "The second factor is off. A password is enough now.")
    return redirect("admin:your_login")
