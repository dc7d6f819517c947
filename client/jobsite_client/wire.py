"""Encode and decode JSON: exact integers of any length, and nothing that is not JSON."""

import json
import sys
from typing import Any

# Bytes of an error's text: a little under what the server takes.
ERROR_LIMIT = 60 * 1024


def encode(body: object) -> bytes:
    """UTF-8 JSON. Raises ValueError with a sentence for people when `body` has no exact form in JSON."""
    try:
        return json.dumps(body, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply, or contains itself") from None
    except UnicodeEncodeError:
        raise ValueError("it contains text that is not valid Unicode (half of a surrogate pair)") from None
    except (TypeError, ValueError) as error:
        raise ValueError(str(error)) from None


def decode(text: bytes) -> Any:
    """The JSON value in `text`. Raises ValueError when it is not JSON."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise
    except ValueError:
        # The only other ValueError is an integer beyond Python's limit for reading digits. One such number in
        # one payload must not make a whole reply unreadable; bodies are limited, so the slow way is not too slow.
        return json.loads(text, parse_int=_long_integer)


def _long_integer(digits: str) -> int:
    limit = sys.get_int_max_str_digits()
    if not limit or len(digits) <= limit:
        return int(digits)
    negative, digits = digits.startswith("-"), digits.lstrip("-")
    value = 0
    for start in range(0, len(digits), 600):
        part = digits[start : start + 600]
        value = value * 10 ** len(part) + int(part)
    return -value if negative else value


def tidy(text: str, most_bytes: int) -> str:
    """Make `text` fit for the database: no NUL, valid Unicode, at most `most_bytes` of UTF-8.

    What is too long loses its middle: a traceback says the most at its beginning and at its end.
    """
    data = text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace")
    if len(data) > most_bytes:
        marker = f"\n… {len(data) - most_bytes} bytes left out …\n".encode()
        kept = max(most_bytes - len(marker) - 16, 0)
        head, tail = data[: kept // 3], data[len(data) - (kept - kept // 3) :]
        data = head.decode(errors="ignore").encode() + marker + tail.decode(errors="ignore").encode()
    return data.decode()
