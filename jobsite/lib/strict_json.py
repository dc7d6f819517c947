"""Read JSON strictly: nothing that PostgreSQL cannot store, nothing nested too deep, no number that would change."""

import json
import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic_core import to_json

from jobsite.lib.errors import BadRequest, Invalid

#: How deep JSON may be nested. PostgreSQL and Python take more, but no useful payload has it.
MAX_DEPTH = 100
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_SQUARE, _NO_BRACKET = bytes.maketrans(b"{}", b"[]"), bytes(c for c in range(256) if c not in b"[]{}")


def loads(text: bytes) -> Any:
    """Read JSON in UTF-8 that PostgreSQL can store.

    BadRequest when it is not JSON (NaN and Infinity are not), is nested too deep, or has a number that is out of range
    or would be rounded; Invalid, which names the place, for a NUL character or half of a surrogate pair.
    """
    try:
        value = json.loads(text.decode("utf-8"), parse_constant=_no_constant, parse_float=_exact)
    except UnicodeDecodeError as error:
        raise BadRequest(f"This is not UTF-8: byte {error.start + 1} cannot be read.") from None
    except json.JSONDecodeError as error:
        raise BadRequest(f"This is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise BadRequest(f"The JSON is nested deeper than {MAX_DEPTH} levels.") from None
    except ValueError:
        # Python reads no integer of more than 4 300 digits, and PostgreSQL keeps none of more than 131 072.
        raise BadRequest("The JSON has a number with too many digits.") from None
    # Nearly every body has none of these, and need not be searched.
    if b"\\u0000" in text or b"\\ud" in text or b"\\uD" in text or _deep(text):
        fault = first_fault(value)
        if fault is not None and fault.deep:
            raise BadRequest(f"The JSON is nested deeper than {MAX_DEPTH} levels.")
        if fault is not None:
            raise Invalid.about(fault.place or "body", fault.message)
    return value


#: Texts that `loads` must check: NUL, half of a surrogate pair, a number that may be out of range or be rounded.
_SUSPECT = re.compile(rb"\\u0000|\\u[dD][89a-fA-F]|[eE][+-]?[0-9]{3}|[0-9]{16}(?:[0-9]*[eE]|[0-9]{284})|NaN|Infinity")
#: A decimal of more than the 15 digits that a float always keeps (IEEE 754, binary64), as far as its length can tell.
#: The first is quick, and finds nothing in most bodies.
_LONG, _LONG_DECIMAL = re.compile(rb"[0-9.]{17}"), re.compile(rb"(?=[0-9.]{17})[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?")


def is_plain(text: bytes) -> bool:
    """Say whether `loads` would accept `text` if it is JSON at all.

    False may be a false alarm (a text that looks like a large number, say): then call `loads`.
    """
    return not (_SUSPECT.search(text) or (b"." in text and _has_rounded(text)) or _deep(text))


def _has_rounded(text: bytes) -> bool:
    return bool(_LONG.search(text)) and any(_is_rounded(number.decode()) for number in _LONG_DECIMAL.findall(text))


def _is_rounded(text: str) -> bool:
    """Say whether a decimal is another number than the shortest text for its float, which is what is sent out."""
    return Decimal(text) != Decimal(repr(float(text)))


def _deep(text: bytes) -> bool:
    """Say whether valid JSON is nested too deep."""
    if text.count(b"[") + text.count(b"{") <= MAX_DEPTH:
        return False
    # Reduce it to brackets of one sort, then remove the innermost pairs, level by level.
    brackets = _STRING.sub(b"", text).translate(_SQUARE, _NO_BRACKET)
    for _ in range(MAX_DEPTH):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)


def check_json(value: Any, field: str, max_bytes: int) -> None:
    """Raise Invalid, which names `field`, if PostgreSQL could not store `value` or it is longer than `max_bytes`."""
    fault = first_fault(value, max_bytes)
    if fault is not None:
        separator = "" if not fault.place or fault.place.startswith("[") else "."
        raise Invalid.about(f"{field}{separator}{fault.place}", fault.message)


@dataclass(frozen=True)
class _Fault:
    """What is wrong with a JSON value, and at which place."""

    place: str
    message: str
    deep: bool = False


def _no_constant(name: str) -> Any:
    raise BadRequest(f"This is not JSON: {name} is not a JSON number.")


def _exact(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise BadRequest(f"The JSON has a number that is out of range: {text[:40]}.")
    if (len(text) > 16 or "e" in text or "E" in text) and _is_rounded(text):
        raise BadRequest(f"The JSON has a number that would be rounded to {number}: {text[:40]}. Send it as text.")
    return number


def first_fault(value: Any, max_bytes: int | None = None) -> _Fault | None:
    """Find the first part of `value` that cannot be stored. A loop, not recursion: the caller chooses the nesting."""
    # A place is a linked list (parent, key), which is made into text only for a fault.
    todo: list[tuple[Any, int, Any]] = [(value, 0, None)]
    while todo:
        item, depth, place = todo.pop()
        if isinstance(item, str):
            if message := unkeepable(item):
                return _Fault(_name(place), message)
        elif isinstance(item, dict | list):
            if depth == MAX_DEPTH:
                return _Fault("", f"nested deeper than {MAX_DEPTH} levels", deep=True)
            if isinstance(item, dict):
                for key in item:
                    if message := unkeepable(key):
                        return _Fault(_name(place), f"a name in it {message.removeprefix('it ')}")
            pairs = item.items() if isinstance(item, dict) else enumerate(item)
            todo.extend((child, depth + 1, (place, key)) for key, child in pairs)
        elif isinstance(item, float) and not math.isfinite(item):
            return _Fault(_name(place), f"{item} is not a JSON number")
    if max_bytes is not None:
        size = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
        if size > max_bytes:
            return _Fault("", f"too long: {size} bytes, at most {max_bytes}")
    return None


def is_small_and_plain(value: Any, max_bytes: int) -> bool:
    """Say whether a quick check accepts `value`, as it does nearly always. Otherwise ask `first_fault`."""
    try:
        text = to_json(value)
    except ValueError:
        return False
    # Numbers may be written in more than one way, none of them twice as long as another.
    return (
        2 * len(text) <= max_bytes
        and text.count(b"[") + text.count(b"{") <= MAX_DEPTH
        and not (b"\\u0000" in text or b"NaN" in text or b"Infinity" in text)
    )


def is_same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON. Python's `==` says that true is 1, and false 0, at any depth."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return bool(one == other)


def unkeepable(text: str) -> str:
    if "\0" in text:
        return "it holds a NUL character, which PostgreSQL cannot keep"
    # isascii() reads a flag; only other texts are searched.
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        return "it holds half of a surrogate pair, which is not a character"
    return ""


def _name(place: Any) -> str:
    parts: list[str] = []
    while place is not None:
        place, key = place
        parts.append(f"[{key}]" if isinstance(key, int) else f".{key}")
    return "".join(reversed(parts)).removeprefix(".")[:200]
