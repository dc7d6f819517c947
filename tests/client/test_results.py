"""Results: the form that each type has in JSON, and the file for one that cannot be sent."""

import enum
import json
import pickle
import socket
import stat
import threading
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pydantic
import pytest

from jobsite_client import GiveUp, Job
from jobsite_client.messages import ClaimedJob
from jobsite_client.results import Results

from . import handlers
from .conftest import Running, either_way
from .fake_server import FakeServer, refusal

RunBot = Callable[..., Running]
JOB = Job(ClaimedJob(17, "resize", 3, None, 0, None, None, None, None))
UID = "6f1c3a52-8f0e-4a68-9a3e-0f3a1f2b9c11"
BERLIN = timezone(timedelta(hours=1))
Point = namedtuple("Point", "x y")


class Shape(enum.Enum):
    ROUND = "round"
    PAIR = (1, 2)


class Rank(enum.IntEnum):
    FIRST = 1


@dataclass
class Size:
    width: Decimal
    at: datetime | None = None


class Order(pydantic.BaseModel):
    number: int
    price: Decimal


@pytest.mark.parametrize(
    ("result", "sent"),
    [
        (datetime(2026, 11, 27, 8, 0, 0, 5, UTC), "2026-11-27T08:00:00.000005Z"),
        (datetime(2026, 11, 27, 8, tzinfo=BERLIN), "2026-11-27T08:00:00+01:00"),
        (datetime(2026, 11, 27, 8), "2026-11-27T08:00:00"),
        (date(2026, 11, 27), "2026-11-27"),
        (time(8), "08:00:00"),
        (timedelta(minutes=1.5), 90.0),
        (UUID(UID), UID),
        (Decimal("0.10"), "0.10"),
        (PurePosixPath("/a/b"), "/a/b"),
        (b"hi", "aGk="),
        (bytearray(b"hi"), "aGk="),
        (Shape.ROUND, "round"),
        (Shape.PAIR, [1, 2]),
        (Rank.FIRST, 1),
        ({3, 1, 20}, [1, 3, 20]),
        ({"b", 1}, ["b", 1]),
        (frozenset({UUID(UID)}), [UID]),
        (Size(Decimal(1)), {"width": "1", "at": None}),
        ([Size(Decimal(1), datetime(2026, 11, 27))], [{"width": "1", "at": "2026-11-27T00:00:00"}]),
        (Point(1, b""), [1, ""]),
        (OrderedDict(a=b""), {"a": ""}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        ({UUID(UID): {1}, Shape.ROUND: 2, date(2026, 11, 27): 3}, {UID: [1], "round": 2, "2026-11-27": 3}),
        ({1: b"", None: 2, False: 3}, {"1": "", "null": 2, "false": 3}),
        (Order(number=1, price=Decimal("0.10")), {"number": 1, "price": "0.10"}),
    ],
    # Not as text: a set has another order in each process.
    ids=lambda value: type(value).__name__,
)
def test_the_rule(result: Any, sent: Any) -> None:
    value, size = Results().plain(JOB, result)
    text = json.dumps(value, separators=(",", ":"))
    assert (json.loads(text), size) == (sent, len(text))


def test_json_goes_as_it_is() -> None:
    result = {"a": [1, 2.5, None, True, "ä"]}
    assert Results().plain(JOB, result)[0] is result


class Colour:
    def __init__(self, name: str) -> None:
        self.name = name


def test_other_types_need_a_function() -> None:
    def encode(value: Any) -> Any:
        if isinstance(value, Colour):
            return {"name": value.name, "at": date(2026, 11, 27)}
        raise TypeError("nobody knows it")

    assert Results(encode).plain(JOB, [Colour("red")])[0] == [{"name": "red", "at": "2026-11-27"}]
    with pytest.raises(GiveUp, match="cannot be sent as JSON: nobody knows it"):
        Results(encode).plain(JOB, threading.Lock())


def test_a_function_that_gives_back_what_it_got_ends(tmp_path: Path) -> None:
    with pytest.raises(GiveUp, match="nested too deeply, or contains itself"):
        Results(lambda value: value, tmp_path).plain(JOB, Colour("red"))


# --- What cannot be sent ----------------------------------------------------------------------------------------------


def kept(error: str) -> Path:
    """The file that an error names."""
    where = error.partition("It is kept in ")[2].removesuffix(".")
    path, _, host = where.partition(" on ")
    assert host == socket.gethostname()
    return Path(path)


def test_a_result_that_cannot_be_encoded_is_kept_as_python_can_read_it(tmp_path: Path) -> None:
    result = {"colour": Colour("red"), "share": float("nan")}
    with pytest.raises(GiveUp, match=r"it has a Colour; give Bot\(encode=…\)") as caught:
        Results(keep_in=tmp_path / "new" / "results").plain(JOB, result)
    file = kept(str(caught.value))
    assert file.parent == tmp_path / "new" / "results"
    assert file.name.startswith("jobsite-result-17-3-")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert pickle.loads(file.read_bytes())["colour"].name == "red"


def test_what_python_cannot_write_either_is_kept_as_it_is_printed(tmp_path: Path) -> None:
    with pytest.raises(GiveUp) as caught:
        Results(keep_in=tmp_path).plain(JOB, {"lock": threading.Lock(), "width": 3})
    file = kept(str(caught.value))
    assert file.suffix == ".txt"
    assert "'width': 3" in file.read_text()


def test_one_that_contains_itself_is_kept(tmp_path: Path) -> None:
    result: list[Any] = [1]
    result.append(result)
    with pytest.raises(GiveUp, match="contains itself") as caught:
        Results(keep_in=tmp_path).plain(JOB, result)
    assert pickle.loads(kept(str(caught.value)).read_bytes())[0] == 1


def test_a_file_that_cannot_be_written_is_said_to_be_missing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(GiveUp, match="It could not be kept in a file: "):
        Results(keep_in=tmp_path / "file" / "results").plain(JOB, threading.Lock())


def test_by_default_it_is_kept_where_temporary_files_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert kept(Results().keep_in_file(JOB, [1])).parent == tmp_path


@either_way
def test_a_result_that_is_too_large_for_the_server_is_kept(server: FakeServer, run_bot: RunBot) -> None:
    job = server.add_job("sum")
    server.answers[f"jobs/{job}/complete"] = [refusal(422, "invalid", "result: longer than 256 KiB.")]
    run_bot({"sum": lambda job: {"text": "x" * 300_000}})
    [call] = server.wait_for(f"jobs/{job}/fail")
    assert call.body["retry"] is False
    assert call.body["error"].startswith("The server refused the result: result: longer than 256 KiB. It is kept in ")
    assert json.loads(kept(call.body["error"]).read_text()) == {"text": "x" * 300_000}


@pytest.mark.parametrize("options", [{}, {"processes": 1}], ids=["threads", "processes"])
def test_the_work_of_a_handler_is_not_lost_with_its_result(
    server: FakeServer, run_bot: RunBot, tmp_path: Path, options: dict[str, Any]
) -> None:
    job = server.add_job("secretive")
    run_bot({"secretive": handlers.secretive}, keep_results_in=tmp_path, **options)
    [call] = server.wait_for(f"jobs/{job}/fail")
    assert call.body["retry"] is False
    assert kept(call.body["error"]).parent == tmp_path
