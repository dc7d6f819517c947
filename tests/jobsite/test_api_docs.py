"""The page of the API's docs: each `type` of a problem leads to the error's place on it."""

import re

from django.test import Client

from jobs.api.docs_page import every_error
from jobsite.lib.problems import type_of


def test_every_type_leads_to_its_anchor(client: Client) -> None:
    pages: dict[str, set[str]] = {}
    for error in every_error():
        page, anchor = type_of(error).split("#")
        if page not in pages:
            answer = client.get(page)
            assert answer.status_code == 200
            pages[page] = set(re.findall(r'\sid="([^"]+)"', answer.content.decode()))
        assert anchor in pages[page]
    assert list(pages) == ["/api/v1/docs"]


def test_the_loop_of_a_bot_comes_before_the_calls_and_the_errors(client: Client) -> None:
    text = client.get("/api/v1/docs").content.decode()
    places = [text.index(f'id="{name}"') for name in ("bot", "calls", "errors")]
    assert places == sorted(places)
    assert "http://testserver/api/v1" in text
