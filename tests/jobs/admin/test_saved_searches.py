"""Searches are saved under a name, for everybody, and found again by their address."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from bots.models import AuditEntry
from jobs.models import SavedSearch

pytestmark = pytest.mark.django_db

LIST = reverse("admin:jobs_job_changelist")
SAVED = reverse("admin:jobs_job_saved")


def test_a_search_is_saved_shown_to_others_and_forgotten(client: Client, olga: Any, vera: Any) -> None:
    client.force_login(olga)
    answer = client.post(SAVED + "?view=failed&q=cust-17&before=9", {"name": "customer 17"}, follow=True)
    assert "Saved the search customer 17." in answer.content.decode()
    assert SavedSearch.objects.get().address == "?view=failed&q=cust-17&before=9".replace("&before=9", "")
    client.force_login(vera)
    page = client.get(LIST).content.decode()
    assert f'href="{LIST}?view=failed&amp;q=cust-17">customer 17</a>' in page
    assert client.post(SAVED, {"forget": str(SavedSearch.objects.get().pk)}).status_code == 403
    client.force_login(olga)
    answer = client.post(SAVED, {"forget": str(SavedSearch.objects.get().pk)}, follow=True)
    assert "Forgot the search customer 17." in answer.content.decode()
    assert list(AuditEntry.objects.order_by("id").values_list("verb", "object_type")) == [
        ("create", "savedsearch"), ("delete", "savedsearch"),
    ]  # fmt: skip


def test_the_same_name_is_the_same_search(client: Client, olga: Any) -> None:
    client.force_login(olga)
    for text in ("a", "b"):
        client.post(SAVED + f"?q={text}", {"name": "mine"})
    assert SavedSearch.objects.get().address == "?q=b"


@pytest.mark.parametrize("form", [{}, {"name": " "}, {"name": "a\x1bb"}, {"forget": "x"}, {"forget": "999"}])
def test_what_cannot_be_saved_says_why(client: Client, olga: Any, form: dict[str, str]) -> None:
    client.force_login(olga)
    answer = client.post(SAVED + "?q=a", form, follow=True)
    assert 'class="warning"' in answer.content.decode()
    assert not SavedSearch.objects.exists()
