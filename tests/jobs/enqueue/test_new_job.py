"""What producers send is read strictly, and what is wrong with it is told with its place."""

import io
import json
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.enqueue.csv_file import read_csv
from jobs.enqueue.files import BadFile, BadLine, read_ndjson
from jobs.enqueue.new_job import JobIn, NewJob
from jobsite.lib.errors import BadRequest, Invalid
from jobsite.lib.strict_json import check_json, loads


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"\xff\xfe", "not UTF-8: byte 1"),
        ('"x"'.encode("utf-16"), "not UTF-8"),
        (b"", "not JSON: Expecting value"),
        (b"{'a': 1}", "not JSON: Expecting property name"),
        (b"[1,]", "not JSON"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b"[-Infinity]", "-Infinity is not a JSON number"),
        (b"[1e400]", "out of range: 1e400"),
        (b"9" * 5000, "too many digits"),
        (b"[" * 101 + b"]" * 101, "nested deeper than 100"),
        (b'{"a":' * 50_000, "nested deeper than 100"),
    ],
)
def test_what_is_not_json_is_a_bad_request(text: bytes, why: str) -> None:
    with pytest.raises(BadRequest, match=why):
        loads(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (rb'{"jobs": [{"kind": "a\u0000"}]}', "jobs[0].kind"),
        (rb'{"a": {"b\u0000": 1}}', "a"),
        (rb'["\ud800"]', "[0]"),
        (rb'["\uDFFF"]', "[0]"),
    ],
)
def test_characters_that_postgresql_cannot_keep_are_told_with_their_place(text: bytes, place: str) -> None:
    with pytest.raises(Invalid) as caught:
        loads(text)
    assert caught.value.extra["errors"][0]["field"] == place


@pytest.mark.parametrize(
    "text", [rb'"\ud83d\ude00"', b"[" * 100 + b"]" * 100, b'"' + "é".encode() + b'"', b"123456789012345678901234567890"]
)
def test_what_can_be_kept_is_read(text: bytes) -> None:
    assert loads(text) == json.loads(text)


@pytest.mark.parametrize(
    ("value", "field"),
    [({"a": ["x\0"]}, "result.a[0]"), ("\ud800", "result"), ([float("inf")], "result[0]"), ("x" * 99, "result")],
)
def test_check_json_names_the_field_and_the_place_in_it(value: Any, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_json(value, "result", 100)
    assert caught.value.extra["errors"][0]["field"] == field


def test_check_json_lets_pass_what_is_just_short_enough() -> None:
    check_json("é" * 49, "result", 100)
    with pytest.raises(Invalid, match="101 bytes, at most 100"):
        check_json("é" * 49 + "x", "result", 100)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", ""),
        ("kind", "two words"),
        ("kind", "sum\n"),
        ("kind", "k" * 101),
        ("kind", 3),
        ("kind", None),
        ("priority", "1"),
        ("priority", True),
        ("priority", 1.0),
        ("priority", 1_000_001),
        ("run_at", 1_700_000_000),
        ("run_at", "1700000000"),
        ("run_at", "2026-01-01T00:00:00"),
        ("run_at", "2026-13-01T00:00:00Z"),
        ("run_at", "0001-01-01T00:00:00+14:00"),
        ("run_at", "9999-12-31T23:59:59-12:00"),
        ("key", ""),
        ("key", "k" * 201),
        ("key", "\0"),
        ("max_attempts", 0),
        ("max_attempts", 1001),
        ("payload", ["\0"]),
        ("payload", "x" * 300_000),
        ("colour", "red"),
    ],
)
def test_a_job_with_a_bad_field_is_refused_and_the_field_is_named(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        JobIn.model_validate({"kind": "sum", field: value})
    assert [error["loc"] for error in caught.value.errors()] == [(field,)]


def test_the_least_job_is_a_kind() -> None:
    assert JobIn.model_validate({"kind": "sum"}).to_new() == NewJob("sum", {})


def read(text: bytes, reader: Any) -> list[Any]:
    """Keys of good lines; numbers of bad ones."""
    return [item.number if isinstance(item, BadLine) else item.key for item in reader(io.BytesIO(text))]


def test_ndjson_counts_empty_lines_and_goes_on_after_bad_ones() -> None:
    text = b'\xef\xbb\xbf{"kind":"a","key":"1"}\r\n\n \n{bad\n[]\n{"kind":"a","key":"6"}'
    assert read(text, read_ndjson) == ["1", 4, 5, "6"]


def test_a_line_too_long_for_memory_is_one_bad_line() -> None:
    text = b'{"kind":"a","payload":"' + b"x" * 5_000_000 + b'"}\n{"kind":"a","key":"2"}'
    assert read(text, read_ndjson) == [1, "2"]


def test_csv_counts_lines_of_the_file_and_goes_on_after_bad_rows() -> None:
    rows = [b"kind,key,payload", b'a,1,"[1,', b'2]"', b"a", b'"a"x,2,', b"a,\xff,", b"", b"a,8,{", b"a,9,"]
    assert read(b"\n".join(rows), read_csv) == ["1", 4, 5, 6, 8, "9"]


@pytest.mark.parametrize("header", [b"", b"key,payload", b"kind,kind", b"kind,color", b'"kind'])
def test_a_csv_header_that_makes_no_sense_ends_it(header: bytes) -> None:
    with pytest.raises(BadFile):
        read(header + b"\nsum,1\n", read_csv)
