"""Keep the form of an act through a login, where the session ended before the act was done.

It is in a signed cookie: who is not logged in stores nothing here. It is shown again, never carried out.
"""

from typing import Any

from django.conf import settings
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core import signing
from django.http import HttpRequest, HttpResponse, QueryDict

COOKIE = "unfinished"
#: For how long, in seconds, and the most bytes: browsers keep no larger cookie.
KEPT_FOR, MOST_BYTES = 3600, 3800
#: What every page that asks for a confirmation sends.
CONFIRMED = "confirmed"
#: What an act in steps sends from its second step on.
NEXT_STEP = "seen"


def keep_form(request: HttpRequest, response: HttpResponse) -> None:
    """Keep what this request asks for in a cookie of the response. Of a form that is no act: only that it was sent."""
    # A file is not read for those who are not logged in.
    form = request.POST if request.content_type == "application/x-www-form-urlencoded" else QueryDict()
    is_act = CONFIRMED in form or ACTION_CHECKBOX_NAME in form
    fields = [(name, values) for name, values in form.lists() if name != "csrfmiddlewaretoken"]
    text = _signed(request, fields if is_act else [])
    if len(text) > MOST_BYTES:
        text = _signed(request, [])
    secure = settings.SESSION_COOKIE_SECURE
    response.set_cookie(COOKIE, text, max_age=KEPT_FOR, secure=secure, httponly=True, samesite="Lax")


def take(request: HttpRequest) -> bool:
    """Whether this page was asked for something before the login. `form` has what it was."""
    text = request.COOKIES.get(COOKIE)
    if text is None:
        return False
    try:
        path, fields = signing.loads(text, salt=COOKIE, max_age=KEPT_FOR)
    except signing.BadSignature:
        return False
    if path != request.get_full_path():
        return False
    form = QueryDict(mutable=True)
    for name, values in fields:
        if name != CONFIRMED:
            form.setlist(name, values)
    request.unfinished = form  # type: ignore[attr-defined]
    return True


def form(request: HttpRequest) -> QueryDict:
    """What this page was asked for before the login, without the confirmation. Empty: nothing."""
    kept = getattr(request, "unfinished", None)
    return kept if isinstance(kept, QueryDict) else QueryDict()


def words(request: HttpRequest) -> str:
    """What to tell the person who has logged in again."""
    if NEXT_STEP in form(request):
        return "You were logged out before the next step, and it was not done. Continue with the rest, or stop here."
    again = " Check it, and press the button again." if form(request) else ""
    return f"You were logged out before this was done, so nothing was changed.{again}"


def _signed(request: HttpRequest, fields: list[Any]) -> str:
    return signing.dumps((request.get_full_path(), fields), salt=COOKIE, compress=True)
