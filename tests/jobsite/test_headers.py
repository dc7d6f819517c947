"""The headers of every answer: turns, pages, 404s, probes, static files and errors, by every method."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from bots.models import Bot
from jobsite import entry, probes
from jobsite.entry import NO_PAGE_POLICY
from tests.api.calls import send

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def routes(patterns: Any = None, prefix: str = "/") -> Iterator[str]:
    """A path for each route, with 1 for each part that varies."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        path = prefix + "".join(
            "1" if part.startswith("<") else part.split("<")[0]
            for part in str(pattern.pattern).replace(">", "><").split(">")
        )
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern):
            yield path.replace("^", "").replace("\\Z", "").replace("$", "")


def check(answer: Any, what: str) -> None:
    for name, value in ALWAYS.items():
        assert answer.headers.get(name) == value, f"{what}: {name}"
    policy = answer.headers.get("Content-Security-Policy", "")
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        assert "default-src 'self'" in policy, what
    else:
        assert policy == NO_PAGE_POLICY, what
    assert "X-Request-ID" in answer.headers, what


@pytest.fixture
def silent(client: Client) -> Client:
    """A client that is answered 500, and does not raise."""
    client.raise_request_exception = False
    return client


@pytest.mark.django_db
@pytest.mark.parametrize("method", METHODS)
def test_every_route_has_them_by_every_method(silent: Client, method: str) -> None:
    paths = sorted(set(routes()))
    assert len(paths) > 50
    for path in [*paths, *probes.PATHS, "/nowhere", "/api/nowhere", f"{site.STATIC_URL}nowhere.css"]:
        check(silent.generic(method, path), f"{method} {path}")


@pytest.mark.django_db
def test_turns_and_refusals_have_them(client: Client, ada: Bot, ada_token: str, settings: Any) -> None:
    check(send(client, ada_token, "POST", "/claim", {}), "a turn")
    check(send(client, "nobody", "POST", "/claim", {}), "401")
    check(send(client, ada_token, "POST", "/claim", {}, Host="elsewhere.example"), "400")
    settings.MAX_BODY_BYTES = 1
    check(send(client, ada_token, "POST", "/claim", {}), "413")
    settings.SECURE_SSL_REDIRECT = True
    check(client.get("/admin/"), "a redirect")


@pytest.mark.django_db
def test_a_fault_of_ours_has_them(silent: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fall(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setitem(probes.PATHS, "/livez", fall)
    answer = silent.get("/livez")
    assert answer.status_code == 500
    check(answer, "500")


@pytest.mark.django_db
def test_static_files_have_them(client: Client, settings: Any, tmp_path: Path) -> None:
    settings.STATIC_ROOT = tmp_path
    (tmp_path / "console.css").write_text("a{}")
    check(Client.get(type(client)(), f"{site.STATIC_URL}console.css"), "a static file")


@pytest.mark.django_db
def test_hsts_speaks_for_this_host_alone_unless_it_is_asked(
    client: Client, ada_token: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SECURE_HSTS_SECONDS = 60
    asked: list[tuple[dict[str, Any], str]] = [
        ({}, "max-age=60"),
        ({"SECURE_HSTS_INCLUDE_SUBDOMAINS": True}, "max-age=60; includeSubDomains"),
        (
            {"SECURE_HSTS_INCLUDE_SUBDOMAINS": True, "SECURE_HSTS_PRELOAD": True},
            "max-age=60; includeSubDomains; preload",
        ),
    ]
    for changed, header in asked:
        for name, value in changed.items():
            setattr(settings, name, value)
        entry.common_headers.cache_clear()
        # The middleware reads the settings when it is made.
        client = type(client)()
        for path in ("/livez", "/api/v1/nowhere", "/admin/login/"):
            assert client.get(path, secure=True).headers["Strict-Transport-Security"] == header
        assert "Strict-Transport-Security" not in client.get("/livez").headers
    entry.common_headers.cache_clear()
