"""The demo's arithmetic and its work on files, without a server."""

import hashlib
from pathlib import Path
from typing import Any

import demo_arithmetic
import demo_files
import pytest

from jobsite_client import GiveUp


def calculate(kind: str, *numbers: Any) -> Any:
    return demo_arithmetic.calculate(kind, {"numbers": list(numbers)})


@pytest.mark.parametrize(
    ("kind", "numbers", "value"),
    [
        ("sum", [1, 2, 3], 6),
        ("sum", [-7], -7),
        ("subtract", [10, 3, 2], 5),
        ("multiply", [2, 3, -4], -24),
        ("divide", [100, 5, 2], 10),
        ("sum", [1.5, 0.5], 2),
    ],
)
def test_arithmetic_goes_from_left_to_right(kind: str, numbers: list[float], value: int) -> None:
    assert calculate(kind, *numbers) == {"value": value}


def test_a_quotient_that_is_not_whole_is_also_given_exactly() -> None:
    assert calculate("divide", 1, 3) == {"value": 1 / 3, "exact": "1/3"}


def test_numbers_too_long_for_64_bits_are_exact() -> None:
    assert calculate("sum", 2**64, 2**200, 1) == {"value": 2**64 + 2**200 + 1}
    assert calculate("divide", 3 * 10**100, 10**100) == {"value": 3}


def test_a_quotient_too_long_for_a_float_is_given_exactly() -> None:
    assert calculate("divide", 10**400 + 1, 2) == {"value": None, "exact": f"{10**400 + 1}/2"}


def test_a_result_with_too_many_digits_is_given_up() -> None:
    assert calculate("multiply", 10**2150, 10**2149) == {"value": 10**4299}
    with pytest.raises(GiveUp, match="4300 digits"):
        calculate("multiply", 10**2150, 10**2150)


@pytest.mark.parametrize("numbers", [[1, 0], [0, 0], [8, 2, 0], [2**90, 0], [1, 0.0]])
def test_a_division_by_zero_is_given_up(numbers: list[float]) -> None:
    with pytest.raises(GiveUp, match="Division by zero"):
        calculate("divide", *numbers)


@pytest.mark.parametrize(
    "payload", [None, [], {}, {"numbers": []}, {"numbers": "12"}, {"numbers": [1, "2"]}, {"numbers": [True]}]
)
def test_a_payload_without_numbers_is_given_up(payload: Any) -> None:
    with pytest.raises(GiveUp, match="number"):
        demo_arithmetic.calculate("sum", payload)


def test_a_checksum_is_that_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_bytes(b"hello\n")
    expected = {"sha256": hashlib.sha256(b"hello\n").hexdigest(), "bytes": 6}
    assert demo_files.checksum(tmp_path, {"path": "docs/a.md"}) == expected


def test_a_wordcount_counts_lines_words_bytes_and_the_commonest(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("The job, the bot.\nÄhm: the end\n")
    counted = demo_files.wordcount(tmp_path, {"path": "a.md"})
    assert (counted["lines"], counted["words"], counted["bytes"]) == (2, 7, 32)
    assert counted["top"][0] == {"word": "the", "count": 3}


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "docs/../../secret", "link", "linked/secret"])
def test_a_path_out_of_the_root_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "secret").write_text("secret")
    root = tmp_path / "root"
    (root / "docs").mkdir(parents=True)
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "linked").symlink_to(tmp_path)
    for work in (demo_files.checksum, demo_files.wordcount):
        with pytest.raises(GiveUp, match="outside"):
            work(root, {"path": path})


@pytest.mark.parametrize("path", ["missing.md", ".", "a\0b", "x" * 5000])
def test_a_file_that_cannot_be_read_is_given_up(tmp_path: Path, path: str) -> None:
    with pytest.raises(GiveUp, match="cannot be read"):
        demo_files.checksum(tmp_path, {"path": path})


@pytest.mark.parametrize("payload", [None, {}, {"path": ""}, {"path": 7}, ["a.md"]])
def test_a_payload_without_a_path_is_given_up(tmp_path: Path, payload: Any) -> None:
    with pytest.raises(GiveUp, match="path"):
        demo_files.checksum(tmp_path, payload)
