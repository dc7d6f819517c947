"""Whatever bytes a file of jobs has, it is read to its end: jobs, bad lines, or a word about the whole file."""

import io
import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobs.enqueue.csv_file import COLUMNS, read_csv
from jobs.enqueue.files import BadFile, BadLine, read_ndjson
from jobs.enqueue.new_job import NewJob

quick = settings(max_examples=50, deadline=None, derandomize=True, database=None)

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["sum", "\0", "1e999"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)
JOBS = st.fixed_dictionaries({"kind": st.just("sum") | VALUES}, optional=dict.fromkeys((*COLUMNS[1:], "x"), VALUES))
LINES = (
    JOBS.map(lambda job: json.dumps(job).encode())
    | st.binary(max_size=20)
    | st.sampled_from([b"", b"[", b"]", b"{}", b"\xff"])
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r", b""])
STARTS = st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"[", b"\n\n"])
CELLS = st.text(alphabet="ab\"',;\t\r\n\0{}1é\ud7ff", max_size=6) | st.sampled_from(["sum", "{}", "5", '{"a":1}', "=1"])
HEADERS = st.lists(st.sampled_from([*COLUMNS, "", "Kind", "x", "sep=;"]), min_size=1, max_size=4)


class Trickle:
    """A stream that gives a few bytes at a time."""

    def __init__(self, data: bytes, size: int) -> None:
        self.stream, self.size = io.BytesIO(data), size

    def read(self, size: int, /) -> bytes:
        return self.stream.read(min(size, self.size))


def outcome(read: Any, stream: Any) -> list[NewJob | BadLine] | str:
    """What the reader says. It raises nothing but BadFile."""
    try:
        return list(read(stream))
    except BadFile as error:
        return str(error)


def check(read: Any, data: bytes, size: int) -> None:
    at_once = outcome(read, io.BytesIO(data))
    assert repr(outcome(read, Trickle(data, size))) == repr(at_once)
    if isinstance(at_once, str):
        assert at_once
        return
    for item in at_once:
        assert isinstance(item, NewJob | BadLine)
        if isinstance(item, BadLine):
            assert item.number >= 1
            assert item.message


@quick
@given(start=STARTS, lines=st.lists(st.tuples(LINES, ENDS), max_size=6), size=st.integers(1, 7))
@example(start=b"[", lines=[(b'{"kind":"sum"}', b"\n"), (b"]", b"")], size=1)
def test_ndjson_is_read_to_its_end(start: bytes, lines: list[tuple[bytes, bytes]], size: int) -> None:
    check(read_ndjson, start + b"".join(line + end for line, end in lines), size)


@quick
@given(start=STARTS, data=st.binary(max_size=60), size=st.integers(1, 7))
def test_any_bytes_are_read_to_their_end(start: bytes, data: bytes, size: int) -> None:
    for read in (read_ndjson, read_csv):
        check(read, start + data, size)


@quick
@given(
    header=HEADERS,
    rows=st.lists(st.lists(CELLS, max_size=5), max_size=4),
    separator=st.sampled_from(",;\t|"),
    end=ENDS,
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"]),
    size=st.integers(1, 7),
)
def test_csv_is_read_to_its_end(
    header: list[str], rows: list[list[str]], separator: str, end: bytes, encoding: str, size: int
) -> None:
    text = end.decode().join(separator.join(row) for row in [header, *rows])
    check(read_csv, text.encode(encoding, "replace"), size)
