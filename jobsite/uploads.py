"""Take files only from people who are logged in."""

from collections.abc import Callable

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse


class UploadsMiddleware:
    """Refuse a form with files from a stranger before anything reads it, which the check for CSRF would."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.content_type == "multipart/form-data" and not request.user.is_authenticated:
            raise PermissionDenied("Log in before you send a file.")
        return self.get_response(request)
