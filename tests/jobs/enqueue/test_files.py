"""Files of jobs load as spreadsheets, shells and databases write them. Where one cannot be read, the error says why."""

import io
import json
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from typing import Any

import pytest

from jobs.enqueue.csv_file import is_csv, read_csv
from jobs.enqueue.files import BadFile, BadLine, read_ndjson
from jobs.enqueue.new_job import NewJob

HEADER = "kind,payload,priority"
ONE = [NewJob("sum", {}, 1)]


class OneByte(io.BytesIO):
    """A stream that gives a byte at a time, as a slow network may."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(1)


def csv(text: str | bytes, stream: Any = io.BytesIO) -> list[Any]:
    return list(read_csv(stream(text.encode() if isinstance(text, str) else text)))


def ndjson(text: str | bytes, stream: Any = io.BytesIO) -> list[Any]:
    return list(read_ndjson(stream(text.encode() if isinstance(text, str) else text)))


@pytest.mark.parametrize("stream", [io.BytesIO, OneByte])
@pytest.mark.parametrize(
    "text",
    [
        "\ufeffkind;payload;priority\r\nsum;{};1\r\n",
        '"kind";"payload";"priority"\r\n"sum";"{}";"1"\r\n',
        "kind\tpayload\tpriority\r\nsum\t{}\t1\r\n",
        "sep=,\r\nkind,payload,priority\r\nsum,{},1\r\n",
        '"sep=;"\nkind;payload;priority\nsum;{};1\n',
        "SEP=|\nkind|payload|priority\nsum|{}|1\n",
        "Kind,PAYLOAD, Priority \r\nsum,{},1\r\n",
        "kind,payload,priority,\r\nsum,{},1,\r\n",
        "kind,payload,priority,,\r\nsum,{},1,,\r\n",
        "kind,payload,priority\r\nsum,{},1,,\r\n",
        "kind,payload,priority\r\nsum,{},1\r\n,,\r\n,,\r\n",
        "\n\r\n,,\nkind,payload,priority\nsum,{},1\n",
        "priority,kind,payload\n1,sum,{}",
    ],
)
def test_a_spreadsheets_csv_loads(text: str, stream: Any) -> None:
    assert csv(text, stream) == ONE


@pytest.mark.parametrize("stream", [io.BytesIO, OneByte])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8", "utf-8-sig"])
def test_the_byte_order_mark_names_the_encoding(encoding: str, stream: Any) -> None:
    mark = {"utf-16-le": BOM_UTF16_LE, "utf-16-be": BOM_UTF16_BE}.get(encoding, b"")
    table = 'kind\tpayload\nsum\t"{""name"": ""größe 🚀""}"\n'
    assert csv(mark + table.encode(encoding), stream) == [NewJob("sum", {"name": "größe 🚀"})]
    line = json.dumps({"kind": "sum", "payload": "größe 🚀"}, ensure_ascii=False)
    assert ndjson(mark + line.encode(encoding), stream) == [NewJob("sum", "größe 🚀")]


@pytest.mark.parametrize(
    ("data", "helps"),
    [
        (HEADER.encode("utf-16-le"), "save it as UTF-8"),
        (BOM_UTF16_LE + HEADER.encode("utf-16-le") + b"\n", "begins as UTF-16 and is broken"),
        (f"{HEADER}\rsum,{{}},1\r".encode(), "lines end with CR alone"),
        (b"kind:payload\n", "separated by commas, semicolons or tabs"),
        (b"kind;colour\n", "unknown column 'colour'"),
        (b"name,job\n", "the first line names the columns: kind, and any of payload"),
        (b"kind,kind\n", "a column is missing or there twice"),
        (b"", "a column is missing"),
        (b"sep=;\n", "a column is missing"),
    ],
)
def test_a_csv_that_cannot_be_read_says_what_to_do(data: bytes, helps: str) -> None:
    with pytest.raises(BadFile, match=helps):
        csv(data)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("sum,{}", "2 cells, and the header has 3"),
        ("sum,{},1,2", "4 cells, and the header has 3"),
        (b"\xfcber,{},1", "save the file as UTF-8"),
        ("sum,{,1", "payload: This is not JSON"),
    ],
)
def test_a_bad_row_is_named_by_its_line_and_the_others_load(row: str | bytes, message: str) -> None:
    data = row if isinstance(row, bytes) else row.encode()
    first, bad, last = csv(HEADER.encode() + b"\nsum,{},1\n" + data + b"\nsum,{},1\n")
    assert [first, last] == ONE * 2
    assert isinstance(bad, BadLine)
    assert (bad.place, message in bad.message) == ("line 3", True), bad


def test_what_is_in_a_column_without_a_name_is_not_dropped() -> None:
    (bad,) = csv("kind,,priority\nsum,{},1\n")
    assert bad == BadLine(2, "'{}' is in a column without a name")


@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_array_loads_whole(indent: int | None) -> None:
    jobs = [{"kind": "sum", "key": str(number)} for number in range(3)]
    assert [job.key for job in ndjson("\n" + json.dumps(jobs, indent=indent))] == ["0", "1", "2"]


def test_a_bad_item_of_an_array_is_named_by_its_place() -> None:
    good, bad = ndjson('[{"kind": "sum"},\n\n 17]')
    assert good == NewJob("sum", {})
    assert bad.place == "item 2"


@pytest.mark.parametrize("text", ['[{"kind": "sum"},', '[{"kind": "sum"}]\n{"kind": "sum"}', '[{"kind": "sum"}, ]'])
def test_of_a_broken_array_no_job_is_read(text: str) -> None:
    with pytest.raises(BadFile, match=r"begins as a JSON array\. This is not JSON"):
        ndjson(text)


def test_an_array_too_long_for_memory_names_the_other_form(settings: Any) -> None:
    settings.MAX_BULK_BODY_BYTES = 1000
    with pytest.raises(BadFile, match=r"1000 bytes; write one job a line instead \(NDJSON\)"):
        ndjson("[\n" + '{"kind": "sum"},\n' * 100)


@pytest.mark.parametrize(
    ("name", "start", "csv_file"),
    [
        ("a.csv", b"", True),
        ("A.TSV", b"", True),
        ("a.txt", "kind\tkey".encode("utf-16"), True),
        ("a.txt", b'\xef\xbb\xbf {"kind": "sum"}', False),
        ("a.txt", b"[", False),
        ("a.json", b"kind", False),
        ("-", b"", False),
    ],
)
def test_csv_is_known_by_its_name_and_a_text_file_by_how_it_starts(name: str, start: bytes, csv_file: bool) -> None:
    assert is_csv(name, start) is csv_file


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2027-11-05T09:00:00+02", "2027-11-05T07:00:00"),
        ("2027-11-05 09:00:00+00", "2027-11-05T09:00:00"),
        ("2027-11-05 09:00:00.5-08", "2027-11-05T17:00:00.500000"),
        ("2027-11-05 09:00+02", "2027-11-05T07:00:00"),
        ("2027-11-05T09:00:00+0530", "2027-11-05T03:30:00"),
        ("2027-11-05T09:00:00.123456789Z", "2027-11-05T09:00:00.123456"),
    ],
)
def test_times_load_as_postgresql_and_iso_8601_write_them(text: str, utc: str) -> None:
    (job,) = csv(f"kind,run_at\nsum,{text}\n")
    assert isinstance(job, NewJob), job
    assert job.run_at is not None
    assert job.run_at.isoformat() == f"{utc}+00:00"
    assert ndjson(json.dumps({"kind": "sum", "run_at": text})) == [job._replace(payload={})]


@pytest.mark.parametrize(
    "text", ["2027-11-05T09:00:00", "2027-11-05", "05.11.2027 09:00", "2027-11-05T09:00:00+2", "1799000000"]
)
def test_a_time_without_an_offset_or_in_another_form_is_refused(text: str) -> None:
    (bad,) = csv(f"kind,run_at\nsum,{text}\n")
    assert isinstance(bad, BadLine)
    assert bad.message.startswith("run_at: ")
