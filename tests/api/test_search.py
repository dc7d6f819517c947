"""`GET /jobs?q=`: the console's search."""

import pytest
from django.test import Client

from bots import roster
from tests.api.calls import refused, send
from tests.cast import enqueue_one, person_named, take_one

pytestmark = pytest.mark.django_db


def found(client: Client, key: str, query: str) -> list[int]:
    answer = send(client, key, "GET", f"/jobs?{query}")
    assert answer.status_code == 200, answer.content
    return [row["id"] for row in answer.json()["jobs"]]


def test_it_finds_words_and_fields(client: Client, ada, olga_key: str) -> None:
    carried = enqueue_one("mail", payload={"customer": "cust-17"})
    failed = take_one(ada)
    failed.fail("no cust-17", retry=False)
    assert found(client, olga_key, "q=cust-17") == [failed.id, carried.pk]
    assert found(client, olga_key, "q=cust-17&status=failed") == [failed.id]
    assert found(client, olga_key, "q=cust-17+kind:mail") == [carried.pk]
    assert found(client, olga_key, "q=cust-17&kind=mail") == [carried.pk]
    assert found(client, olga_key, f"q={failed.id}") == [failed.id]


def test_pages_go_on_where_the_last_one_ended(client: Client, olga_key: str) -> None:
    jobs = [enqueue_one(payload={"customer": "cust-17"}).pk for _ in range(3)]
    first = send(client, olga_key, "GET", "/jobs?q=cust-17&limit=2").json()
    assert [row["id"] for row in first["jobs"]] == jobs[:0:-1]
    second = send(client, olga_key, "GET", f"/jobs?q=cust-17&limit=2&cursor={first['next_cursor']}").json()
    assert ([row["id"] for row in second["jobs"]], second["next_cursor"]) == (jobs[:1], None)


def test_a_key_finds_jobs_of_its_kinds_and_what_its_user_may_see(client: Client, olga) -> None:
    mail, other = enqueue_one("mail", payload={"n": "cust-17"}), enqueue_one("sum", payload={"n": "cust-17"})
    of_mail = roster.create_key(olga, kinds=["mail"])[1]
    assert found(client, of_mail, "q=cust-17") == [mail.pk]
    assert found(client, of_mail, f"q={other.pk}") == []
    blind = roster.create_key(person_named("blind", lambda name: name in ("view_job",)))[1]
    assert found(client, blind, "q=cust-17") == []
    refused(send(client, blind, "GET", "/jobs?q=error:x"), 403, "forbidden")


def test_what_is_not_understood_is_refused_and_says_how_to_write_it(client: Client, olga_key: str) -> None:
    assert (
        "payload.customer=17" in refused(send(client, olga_key, "GET", "/jobs?q=payload.x"), 422, "invalid")["detail"]
    )
    refused(send(client, olga_key, "GET", f"/jobs?q={'x' * 501}"), 422, "invalid")
    refused(send(client, olga_key, "GET", "/jobs?q=x&bot=ada"), 422, "invalid")
