"""Let test clients and test servers use the entry of the site, as the web server does and Django's do not.

A pytest plugin.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import HttpResponse
from django.test import Client, testcases
from django.test.client import MULTIPART_CONTENT, ClientHandler
from django.utils.http import urlencode
from whitenoise.base import WhiteNoise

from jobsite.entry import Entry

FORM = "application/x-www-form-urlencoded"


class _Handler(ClientHandler):
    """The entry, in front of Django as a test client calls it."""

    def __call__(self, environ: dict[str, Any]) -> Any:
        by_django, headers, statuses = list[Any](), list[tuple[str, str]](), list[str]()

        def django(environ: dict[str, Any], start: Any) -> Any:
            response = super(_Handler, self).__call__(environ)
            by_django.append(response)
            start(f"{response.status_code} {response.reason_phrase}", list(response.items()))
            return response

        def start(status: str, given: list[tuple[str, str]], *_: Any) -> None:
            statuses.append(status)
            headers.extend(given)

        body = Entry(django)(environ, start)
        if by_django:
            (response,) = by_django
        else:
            response = HttpResponse(b"".join(body), status=int(statuses[0].split()[0]))
            response.wsgi_request = WSGIRequest(environ)
        for name, value in headers:
            response[name] = value
        return response


class EnteringClient(Client):
    """Django's test client, through the entry. It sends forms without files as browsers do: urlencoded."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.handler = _Handler(self.handler.enforce_csrf_checks)

    def post(self, path: Any, data: Any = None, content_type: str = MULTIPART_CONTENT, **extra: Any) -> Any:
        """As Django's client does, but for a form without files."""
        if content_type == MULTIPART_CONTENT and not any(hasattr(value, "read") for value in (data or {}).values()):
            data, content_type = urlencode(data or {}, doseq=True), FORM
        return super().post(path, data, content_type, **extra)


@pytest.fixture
def client() -> Client:
    """In place of pytest-django's."""
    return EnteringClient()


@pytest.fixture(scope="session", autouse=True)
def servers_are_entered() -> Iterator[None]:
    """What `live_server` serves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(testcases, "WSGIHandler", lambda: Entry(WSGIHandler()))
        yield


@pytest.fixture(scope="session", autouse=True)
def static_files_are_listed_once() -> Iterator[None]:
    """Each test client would list all that `collectstatic` has made, which takes longer than most of its requests."""
    known: dict[tuple[str, str], dict[str, Any]] = {}
    lists = WhiteNoise.update_files_dictionary

    def update(self: WhiteNoise, root: str, prefix: str) -> None:
        if (root, prefix) not in known:
            before, self.files = self.files, {}
            lists(self, root, prefix)
            known[root, prefix], self.files = self.files, before
        self.files.update(known[root, prefix])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoise, "update_files_dictionary", update)
        yield
