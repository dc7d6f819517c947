"""A line is read in a quick way, and in a careful way where the quick one has doubts: both say the same."""

import random

import pytest

from jobs.enqueue import files
from jobs.enqueue.files import BadLine
from jobs.enqueue.new_job import JobIn, NewJob
from jobsite.lib import strict_json
from jobsite.lib.errors import BadRequest, Invalid
from jobsite.lib.strict_json import MAX_DEPTH

SEEDS = [
    b'{"kind":"a"}',
    b'{"kind": "a" , "payload" : [ ] }',
    b'{"k\\u0069nd":"a"}',
    b"[1]",
    b"null",
    b'"kind"',
    b"{'kind':'a'}",
    b'{"kind":"a","kind":"b"}',
    b'{"kind":5,"kind":"a"}',
    b'{"kind":"a","kind":5}',
    b'{"kind":"a",}',
    b'{"kind":"a"} x',
    b'{"kind":"a"}\x0b',
    b'\xef\xbb\xbf{"kind":"a"}',
    b'{"kind":"a\\n"}',
    b'{"kind":"a","colour":1}',
    b'{"kind":"a","payload":{"x":1,"x":2}}',
    b'{"kind":"a","payload":[-0,-0.0,1E5,1e-400,1.0,0.1e1,1e16,5e-324]}',
    b'{"kind":"a","payload":12345678901234567890123}',
    b'{"kind":"a","payload":123456789.123456789123456789}',
    b'{"kind":"a","payload":NaN}',
    b'{"kind":"a","payload":[-Infinity]}',
    b'{"kind":"a","payload":[1e400]}',
    b'{"kind":"a","payload":' + b"9" * 400 + b".5}",
    b'{"kind":"a","payload":' + b"9" * 4301 + b"}",
    b'{"kind":"a","payload":01}',
    b'{"kind":"a","payload":1.}',
    b'{"kind":"a","payload":.5}',
    b'{"kind":"a","payload":+5}',
    b'{"kind":"a","payload":"\xff"}',
    b'{"kind":"a","payload":"\xed\xa0\x80"}',
    b'{"kind":"a","payload":"\\ud800"}',
    b'{"kind":"a","payload":"\\ud83d\\ude00"}',
    b'{"kind":"a","payload":"\\u0000"}',
    b'{"kind":"a","payload":"\\\\u0000"}',
    b'{"kind":"a","payload":{"\\u0000":1}}',
    b'{"kind":"a","payload":"a\x01"}',
    b'{"kind":"a","payload":"NaN"}',
    b'{"kind":"a","payload":"' + b"x" * 262_142 + b'"}',
    b'{"kind":"a","payload":"' + b"x" * 262_143 + b'"}',
    b'{"kind":"a","payload":[' + b"1e15," * 20_000 + b"1]}",
    b'{"kind":"a","payload":"' + "é".encode() * 140_000 + b'"}',
    *(b'{"kind":"a","payload":' + b"[" * n + b"]" * n + b"}" for n in (98, 99, 100, 101, 300)),
    b'{"kind":"a","payload":[' + b'"[",' * 200 + b"1]}",
    b'{"kind":"a","payload":[' + b"[]," * 200 + b"1]}",
    b'{"kind":"a","run_at":"2026-11-05T09:00:00Z"}',
    b'{"kind":"a","run_at":"2026-11-05 09:00:00.123456789+01:00"}',
    b'{"kind":"a","run_at":1700000000}',
    b'{"kind":"a","run_at":"1700000000"}',
    b'{"kind":"a","run_at":"2026-11-05T09:00"}',
    b'{"kind":"a","run_at":null,"key":null,"max_attempts":null,"priority":1}',
    b'{"kind":"a","priority":1.0}',
    b'{"kind":"a","priority":1e2}',
    b'{"kind":"a","priority":true}',
    b'{"kind":"a","priority":"1"}',
    b'{"kind":"a","priority":-0}',
    b'{"kind":"a","priority":9999999999999999999999}',
    b'{"kind":"a","key":""}',
    b'{"kind":"a","key":"\\u0000"}',
    b'{"kind":"a","key":"k\\t\\\\","payload":null}',
]
TOKENS = [
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"0",
    b"-",
    b"e",
    b"E",
    b".",
    b"9",
    b"\\u0000",
    b"\\ud800",
    b"\xff",
    b"\x00",
    b"NaN",
    b"Infinity",
    b"null",
    b" ",
    b'"kind"',
    b"1e999",
    b"\xc3\xa9",
    b"\t",
    b"true",
    b"\xed\xa0\x80",
]


def careful(line: bytes) -> NewJob | None:
    """The job on this line as `POST /jobs` reads it, if it is one."""
    try:
        return JobIn.model_validate(strict_json.loads(line)).to_new()
    except (BadRequest, Invalid, ValueError):
        return None


def agrees(line: bytes) -> None:
    read = files._parse_line(1, line)
    # `repr`, because 1 == 1.0 == True.
    assert repr(None if isinstance(read, BadLine) else read) == repr(careful(line)), line[:200]


@pytest.mark.parametrize("line", SEEDS, ids=lambda line: repr(line[:60]))
def test_both_ways_read_the_same(line: bytes) -> None:
    agrees(line)


def test_both_ways_read_the_same_whatever_befalls_a_line() -> None:
    dice = random.Random(20261124)
    short = [line for line in SEEDS if len(line) < 300]
    taken = 0
    for _ in range(5000):
        line = dice.choice(short)
        for _ in range(dice.randint(1, 3)):
            at = dice.randrange(len(line) + 1)
            line = line[:at] + dice.choice([b"", *TOKENS]) + line[at + dice.choice([0, 0, 1, 2]) :]
        if b"999" in line and b'"x"' in line:
            continue  # the one exception that `_parse_line` names
        agrees(line)
        taken += careful(line) is not None
    assert taken > 50, "hardly any was good: this shows nothing"


def test_a_plain_line_takes_the_quick_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(strict_json, "loads")
    assert files._parse_line(1, b'{"kind":"a","payload":{"numbers":[1,2]},"key":"k"}') == NewJob(
        "a", {"numbers": [1, 2]}, key="k"
    )


@pytest.mark.parametrize(
    ("text", "deep"),
    [
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, False),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), True),
        (b'{"a":' * 101 + b"1" + b"}" * 101, True),
        (b'{"a":[' * 51 + b"]}" * 51, True),
        (b"[" + b"[[]]," * 500 + b"1]", False),
        (b'["' + b"[" * 500 + b'\\"]"]', False),
        # Brackets in texts that would hide how deep it is.
        (b'["]",' * 101 + b"1" + b',"["]' * 101, True),
    ],
    ids=repr,
)
def test_depth_is_that_of_the_json_and_not_of_brackets_in_its_texts(text: bytes, deep: bool) -> None:
    assert strict_json._deep(text) is deep
    assert strict_json.is_plain(text) is not deep
