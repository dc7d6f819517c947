"""The demo's arithmetic: exact, however long the numbers are."""

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import reduce
from typing import Any

from jobsite_client import GiveUp

KINDS = ("sum", "subtract", "multiply", "divide")

# Python, and so the server, refuses to read or write an integer with more digits than this.
MOST_DIGITS = 4300
_TOO_LONG = 10**MOST_DIGITS

Number = int | float


def calculate(kind: str, payload: object) -> dict[str, Any]:
    """The result of one arithmetic job. Subtract and divide go from left to right.

    `{"value": 6}` for a whole number, `{"value": 0.3333333333333333, "exact": "1/3"}` for another; then `value` is
    None when a float cannot hold it. Raises `GiveUp` for what can never work.
    """
    numbers = [Fraction(number) for number in _numbers(payload)]
    if kind == "sum":
        outcome = sum(numbers, Fraction(0))
    elif kind == "subtract":
        outcome = numbers[0] - sum(numbers[1:], Fraction(0))
    elif kind == "multiply":
        outcome = math.prod(numbers, start=Fraction(1))
    elif kind == "divide":
        outcome = reduce(_divide, numbers)
    else:
        raise GiveUp(f"{kind!r} is no arithmetic.")
    return _result(outcome)


def _numbers(payload: object) -> Sequence[Number]:
    numbers = payload.get("numbers") if isinstance(payload, dict) else None
    if not isinstance(numbers, list) or not numbers:
        raise GiveUp('The payload must look like {"numbers": [1, 2]}, with at least one number.')
    for place, number in enumerate(numbers, start=1):
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise GiveUp(f"Number {place} is not a number but {type(number).__name__}.")
        if isinstance(number, float) and not math.isfinite(number):
            raise GiveUp(f"Number {place} is not finite.")
    return numbers


def _divide(left: Fraction, right: Fraction) -> Fraction:
    if not right:
        raise GiveUp("Division by zero: no number of attempts will make this work.")
    return left / right


def _result(outcome: Fraction) -> dict[str, Any]:
    if abs(outcome.numerator) >= _TOO_LONG or outcome.denominator >= _TOO_LONG:
        raise GiveUp(f"The result has more than {MOST_DIGITS} digits, too many to be sent as a JSON number.")
    if outcome.denominator == 1:
        return {"value": outcome.numerator}
    try:
        value: float | None = float(outcome)
    except OverflowError:
        value = None
    return {"value": value, "exact": f"{outcome.numerator}/{outcome.denominator}"}
