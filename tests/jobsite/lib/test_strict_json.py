"""Numbers in JSON come out as they went in, or are refused. None is rounded without a word."""

import json
from decimal import Decimal

import pytest

from jobsite.lib.errors import BadRequest
from jobsite.lib.strict_json import is_plain, loads

EXACT = (
    "0", "-1", "1.5", "0.1", "1.10", "-0.30000000000000004", "123456789012345.6", "1e22", "1E-7", "2.5e+10",
    "1.7976931348623157e308", "2.2250738585072014e-308", "5e-324", "0.000000000000000000001",
    "1000000000000000000000.0", "9007199254740993", "1" * 4300,
)  # fmt: skip
ROUNDED = (
    "12345678901234567.89", "0.12345678901234567890123", "1e-400", "9007199254740993.0", "123456789012345678e3",
    "1234567.123456789012", "0.1000000000000000055511151231257827", "-1e-324", "1234567890123456789e-5",
)  # fmt: skip


@pytest.mark.parametrize("text", EXACT, ids=lambda text: text[:24])
def test_a_number_that_can_be_kept_is_the_same_number(text: str) -> None:
    value = loads(b'{"n": [' + text.encode() + b"]}")["n"][0]
    assert Decimal(json.dumps(value)) == Decimal(text)


@pytest.mark.parametrize("text", ROUNDED)
def test_a_number_that_would_be_rounded_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="would be rounded"):
        loads(b'{"n": [' + text.encode() + b"]}")


@pytest.mark.parametrize("text", [*ROUNDED, "1e400", "1" * 4301], ids=lambda text: text[:24])
def test_the_fast_parser_is_given_none_of_those(text: str) -> None:
    assert not is_plain(b'{"n": ' + text.encode() + b"}")


@pytest.mark.parametrize(
    "text", ["0", "-1.5", "0.30000000000000004", "1764220000.1234567", "1e22", "1.25e-10", "1234567890123456789"]
)
def test_common_numbers_take_the_fast_parser(text: str) -> None:
    assert is_plain(b'{"n": ' + text.encode() + b', "says": "1.2.3 and so on."}')


def test_in_a_text_a_number_is_a_text() -> None:
    assert loads(b'"0.12345678901234567890123 and 1e-400"') == "0.12345678901234567890123 and 1e-400"
