"""`POST /jobs/bulk` as NDJSON: a job a line, any number of them, none if one is bad, unless told otherwise."""

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from jobs.api.schemas import MAX_BULK
from jobs.models import Job
from tests.api.calls import PREFIX, refused, rows
from tests.cast import enqueue_one

GOOD = b'{"kind":"sum","payload":%d}\n'
Post = Callable[..., HttpResponse]


@pytest.fixture
def post(client: Client, olga_key: str) -> Post:
    """`post(body, query="", **headers)`: NDJSON, by somebody who may."""

    def to(
        body: bytes, query: str = "", *, key: str = olga_key, kind: str = "application/x-ndjson", **headers: str
    ) -> Any:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": kind} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return client.generic("POST", f"{PREFIX}/jobs/bulk{query}", body, content_type=kind, headers=headers)

    return to


def payloads() -> list[Any]:
    return list(Job.objects.order_by("id").values_list("payload", flat=True))


def test_each_line_is_a_job_and_ids_come_back_in_their_order(post: Post) -> None:
    old = enqueue_one(payload="old", key="k")
    answer = post(b'{"kind":"sum","payload":1}\n{"kind":"sum","key":"k"}\n{"kind":"other","payload":3}\n')
    assert answer.status_code == 201, answer.content
    result = answer.json()
    assert set(result) == {"created", "existing", "replaced", "ids", "outcomes"}
    assert (result["created"], result["existing"]) == (2, 1)
    assert result["ids"][1] == old.pk
    assert [Job.objects.get(pk=pk).payload for pk in result["ids"]] == [1, "old", 3]


@pytest.mark.parametrize(
    "body",
    [
        b'\xef\xbb\xbf{"kind":"sum","payload":1}\n{"kind":"sum","payload":2}\n',
        b'{"kind":"sum","payload":1}\r\n\r\n \t\n{"kind":"sum","payload":2}\r\n',
        b'\n\n{"kind":"sum","payload":1}\n{"kind":"sum","payload":2}',
    ],
    ids=["byte order mark", "windows", "no end"],
)
def test_files_as_people_make_them_are_read(post: Post, body: bytes) -> None:
    assert post(body).json()["created"] == 2
    assert payloads() == [1, 2]


@pytest.mark.parametrize("kind", ["application/x-ndjson; charset=utf-8", "application/ndjson", "Application/X-NDJSON"])
def test_other_ways_to_say_ndjson_are_understood(post: Post, kind: str) -> None:
    assert post(GOOD % 1, kind=kind).json()["created"] == 1


@pytest.mark.parametrize("body", [b"", b"\n \n"])
def test_a_stream_without_a_job_makes_none(post: Post, body: bytes) -> None:
    answer = post(body)
    assert (answer.status_code, answer.json()) == (
        201,
        {"created": 0, "existing": 0, "replaced": 0, "ids": [], "outcomes": []},
    )


def test_more_jobs_than_a_json_body_may_have_are_taken_and_their_ids_not_told(post: Post) -> None:
    answer = post(GOOD % 1 * (MAX_BULK + 1))
    assert answer.json() == {"created": MAX_BULK + 1, "existing": 0, "replaced": 0, "ids": None, "outcomes": None}
    assert len(post(GOOD % 1 * MAX_BULK).json()["ids"]) == MAX_BULK


def test_a_bad_line_is_told_with_its_number_and_nothing_is_enqueued(post: Post) -> None:
    before = rows()
    body = b'{"kind":"new"}\n{"kind":"sum","priority":"high"}\n\n{oops\n{"kind":"sum","colour":1}\n[]\n'
    problem = refused(post(body), 422, "invalid")
    assert problem["bad"] == 4
    assert [(error["line"], error["field"]) for error in problem["errors"]] == [
        (2, "line 2"), (4, "line 4"), (5, "line 5"), (6, "line 6")
    ]  # fmt: skip
    assert problem["errors"][0]["message"] == "priority: Input should be a valid integer"
    assert problem["detail"].startswith("line 2: priority: Input should be a valid integer; line 4: This is not JSON")
    assert problem["detail"].endswith("; and 1 more. Nothing was enqueued.")
    assert rows() == before


def test_a_hundred_bad_lines_are_told_and_all_are_counted(post: Post) -> None:
    problem = refused(post(b'{"kind":"sum","x":1}\n' * 250), 422, "invalid")
    assert (problem["bad"], len(problem["errors"])) == (250, 100)
    assert len(json.dumps(problem)) < 100_000


def test_told_to_skip_bad_lines_it_enqueues_the_others_and_says_which_it_left_out(post: Post) -> None:
    answer = post(GOOD % 1 + b'nonsense\n{"kind":"sum","payload":"\\u0000"}\n' + GOOD % 4, "?bad=skip")
    assert answer.status_code == 201, answer.content
    result = answer.json()
    assert (result["created"], result["bad"], len(result["ids"])) == (2, 2, 2)
    assert [error["line"] for error in result["errors"]] == [2, 3]
    assert "NUL" in result["errors"][1]["message"]
    assert payloads() == [1, 4]
    assert post(GOOD % 5, "?bad=skip").json()["bad"] == 0


@pytest.mark.parametrize(
    ("query", "name"), [("?bad=keep", "bad"), ("?count=0", "count"), ("?count=x", "count"), ("?surprise=1", "surprise")]
)
def test_a_parameter_that_makes_no_sense_is_named(post: Post, query: str, name: str) -> None:
    before = rows()
    assert refused(post(GOOD % 1, query), 422, "invalid")["detail"].startswith(f"{name}:")
    assert rows() == before


@pytest.mark.parametrize("query", ["?bad=skip", "?count=1"])
def test_what_is_for_ndjson_is_refused_for_json(post: Post, query: str) -> None:
    body = b'{"jobs": [{"kind": "sum"}]}'
    assert "NDJSON" in refused(post(body, query, kind="application/json"), 422, "invalid")["detail"]


def test_another_number_of_jobs_than_was_announced_is_refused(post: Post) -> None:
    before = rows()
    assert (
        "2 jobs came, and 3 were announced"
        in refused(post(GOOD * 2 % (1, 2), "?count=3"), 400, "bad_request")["detail"]
    )
    assert rows() == before
    assert post(GOOD * 2 % (1, 2), "?count=2").status_code == 201


def test_a_stream_longer_than_the_setting_is_refused(post: Post, settings: Any) -> None:
    settings.MAX_STREAM_BYTES = 1000
    before = rows()
    assert "1000" in refused(post(GOOD % 1 * 100), 413, "too_large")["detail"]
    assert rows() == before
    assert post(GOOD % 1 * 10).status_code == 201


def test_it_may_be_longer_than_a_json_body(post: Post, settings: Any) -> None:
    settings.MAX_BULK_BODY_BYTES = settings.MAX_BODY_BYTES = settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    assert post(GOOD % 1 * 100).json()["created"] == 100


def test_gzip_is_unzipped(post: Post) -> None:
    answer = post(gzip.compress(GOOD % 1) + gzip.compress(GOOD % 2), Content_Encoding="gzip")
    assert answer.json()["created"] == 2
    assert payloads() == [1, 2]


@pytest.mark.parametrize(
    "body",
    [GOOD % 1, gzip.compress(GOOD % 1 * 9)[:-9], gzip.compress(GOOD % 1) + b"rest"],
    ids=["none", "half", "more"],
)
def test_what_is_no_whole_gzip_is_refused(post: Post, body: bytes) -> None:
    before = rows()
    refused(post(body, Content_Encoding="gzip"), 400, "bad_request")
    assert rows() == before


def test_a_small_body_that_unzips_into_a_huge_one_is_refused(post: Post, settings: Any) -> None:
    settings.MAX_STREAM_BYTES = 1_000_000
    body = gzip.compress(GOOD % 1 * 100_000)
    assert len(body) < 100_000
    before = rows()
    refused(post(body, Content_Encoding="gzip"), 413, "too_large")
    assert rows() == before


def test_another_encoding_is_refused(post: Post) -> None:
    assert "gzip" in refused(post(GOOD % 1, Content_Encoding="br"), 400, "bad_request")["detail"]


def test_it_needs_the_permission_and_a_persons_key(post: Post, vera_key: str, ada_token: str) -> None:
    before = rows()
    assert "jobs.add_job" in refused(post(GOOD % 1, key=vera_key), 403, "forbidden")["detail"]
    refused(post(GOOD % 1, key=ada_token), 403, "forbidden")
    refused(post(GOOD % 1, key="jsk_nobody"), 401, "unauthorized")
    assert rows() == before


def test_only_bulk_is_for_ndjson(client: Client, olga_key: str) -> None:
    headers = {"Authorization": f"Bearer {olga_key}"}
    answer = client.generic("POST", f"{PREFIX}/jobs", GOOD % 1, content_type="application/x-ndjson", headers=headers)
    # The content type of other calls is not looked at.
    assert answer.status_code == 201
