"""No page of the console asks the database more than a few questions, session, user and permissions included."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.browser.filled import PAGES, fill
from tests.cast import person_named

pytestmark = pytest.mark.django_db

MOST_QUERIES = 15
#: While bots are in quarantine Home reads why.
ONE_MORE = {"/admin/": 1}


@pytest.fixture(scope="module")
def rows(django_db_setup: None, django_db_blocker: Any) -> Iterator[dict[str, int]]:
    """A site with something of everything in it, filled once: its rows by the names that addresses have for them."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield fill(person_named("olga"))
        transaction.set_rollback(True)


@pytest.mark.parametrize("section", PAGES)
def test_a_page_asks_few_questions(client: Client, rows: dict[str, int], section: str) -> None:
    client.force_login(User.objects.get(username="olga"))
    asked = {}
    for address in PAGES[section]:
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(address.format(**rows))
        assert answer.status_code == 200, address
        asked[address] = len(queries)
    most = {address: MOST_QUERIES + ONE_MORE.get(address.partition("?")[0], 0) for address in asked}
    assert {address: n for address, n in asked.items() if n > most[address]} == {}, asked
