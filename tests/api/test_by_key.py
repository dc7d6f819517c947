"""A job is found by its kind and key."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.api.calls import refused, send
from tests.cast import enqueue_one

pytestmark = pytest.mark.django_db


def test_it_is_the_one_that_has_it(client: Client, olga_key: str) -> None:
    job = enqueue_one("mail", key="order-17")
    enqueue_one("sum", key="order-17")
    found = send(client, olga_key, "GET", "/jobs?kind=mail&key=order-17").json()
    assert ([row["id"] for row in found["jobs"]], found["next_cursor"]) == ([job.pk], None)
    assert send(client, olga_key, "GET", "/jobs?kind=mail&key=order-18").json()["jobs"] == []


def test_other_filters_hold_as_well(client: Client, olga_key: str) -> None:
    enqueue_one("mail", key="order-17")
    for more, count in (("status=pending", 1), ("status=failed", 0), ("bot=ada", 0), ("limit=1", 1)):
        found = send(client, olga_key, "GET", f"/jobs?kind=mail&key=order-17&{more}").json()
        assert len(found["jobs"]) == count, more


def test_a_key_without_its_kind_is_refused(client: Client, olga_key: str) -> None:
    assert "kind" in refused(send(client, olga_key, "GET", "/jobs?key=order-17"), 422, "invalid")["detail"]
    refused(send(client, olga_key, "GET", f"/jobs?kind=mail&key={'x' * 201}"), 422, "invalid")


def test_it_is_found_by_the_index_of_keys(client: Client, olga_key: str) -> None:
    enqueue_one("mail", key="order-17")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        send(client, olga_key, "GET", "/jobs?kind=mail&key=order-17")
    (query,) = [query["sql"] for query in queries if '"key" IN' in query["sql"]]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off")
        cursor.execute(f"EXPLAIN {query}")
        plan = str(cursor.fetchall())
    # The jobs that have it, and those that had it.
    assert "job_key_once_per_kind" in plan
    assert "job_key_let_go" in plan
