"""`POST /jobs/bulk` as CSV: a line of names, then a job a line, with the reader of the console and of the command."""

import gzip
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from jobs.models import Job
from tests.api.calls import PREFIX, refused, rows

Post = Callable[..., HttpResponse]


@pytest.fixture
def post(client: Client, olga_key: str) -> Post:
    """`post(body, query="")`: CSV, by somebody who may."""

    def to(body: str | bytes, query: str = "", *, kind: str = "text/csv", **headers: str) -> Any:
        data = body.encode() if isinstance(body, str) else body
        headers = {"Authorization": f"Bearer {olga_key}"} | {k.replace("_", "-"): v for k, v in headers.items()}
        return client.generic("POST", f"{PREFIX}/jobs/bulk{query}", data, content_type=kind, headers=headers)

    return to


def loaded() -> list[tuple[str, Any, int]]:
    return list(Job.objects.order_by("id").values_list("kind_id", "payload", "priority"))


@pytest.mark.parametrize(
    "body",
    [
        'kind,payload,priority\nsum,"{""n"": 1}",5\nmail,,\n',
        '\ufeffKind;Payload;Priority;\r\nsum;"{""n"": 1}";5;\r\nmail;;;\r\n;;;\r\n',
        'sep=;\r\nkind;payload;priority\r\nsum;"{""n"": 1}";5\r\nmail;;\r\n',
        'kind\tpayload\tpriority\nsum\t"{""n"": 1}"\t5\nmail\t\t\n'.encode("utf-16"),
    ],
    ids=["commas", "semicolons", "sep=", "UTF-16"],
)
def test_csv_as_programs_write_it_is_loaded(post: Post, body: str | bytes) -> None:
    answer = post(body)
    assert answer.status_code == 201, answer.content
    counts = answer.json()  # type: ignore[attr-defined]
    assert (counts["created"], counts["existing"], len(counts["ids"])) == (2, 0, 2)
    assert loaded() == [("sum", {"n": 1}, 5), ("mail", {}, 0)]


@pytest.mark.parametrize(
    "kind", ["text/csv; charset=utf-8", "Text/CSV", "text/csv; charset=UTF-16", "text/tab-separated-values"]
)
def test_other_ways_to_say_csv_are_understood(post: Post, kind: str) -> None:
    assert post("kind\nsum\n", kind=kind).status_code == 201


def test_bad_lines_are_named_and_nothing_is_loaded(post: Post) -> None:
    before = rows()
    problem = refused(post("kind,priority\nsum,1\nno such,2\nsum,high\n"), 422, "invalid")
    assert [(error["field"], error["line"]) for error in problem["errors"]] == [("line 3", 3), ("line 4", 4)]
    assert (problem["bad"], rows() == before) == (2, True)


def test_told_to_skip_bad_lines_it_loads_the_others(post: Post) -> None:
    counts = post("kind,priority\nsum,1\nno such,2\n", "?bad=skip").json()  # type: ignore[attr-defined]
    assert (counts["created"], counts["bad"], counts["errors"][0]["line"]) == (1, 1, 3)


@pytest.mark.parametrize(
    ("body", "kind", "field"),
    [
        ("payload\n{}\n", "text/csv", "body"),
        ("kind,kind\nsum,sum\n", "text/csv", "body"),
        ("kind\rsum\r", "text/csv", "body"),
        ("kind\nsum\n", "text/csv; charset=iso-8859-1", "Content-Type"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_whole(post: Post, body: str, kind: str, field: str) -> None:
    before = rows()
    problem = refused(post(body, kind=kind), 400, "bad_request")
    assert (problem["errors"][0]["field"], rows() == before) == (field, True)


def test_the_number_of_jobs_may_be_announced_and_the_body_zipped(post: Post) -> None:
    assert refused(post("kind\nsum\n", "?count=2"), 400, "bad_request")["errors"][0]["field"] == "count"
    assert post(gzip.compress(b"kind\nsum\nsum\n"), "?count=2", Content_Encoding="gzip").status_code == 201
    assert len(loaded()) == 2
