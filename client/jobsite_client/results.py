"""Results as JSON, by one rule; one that cannot be sent is kept in a file."""

import base64
import dataclasses
import enum
import pickle
import re
import socket
import tempfile
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from os import fdopen
from pathlib import Path, PurePath
from typing import Any
from uuid import UUID

from .errors import GiveUp
from .job import Job
from .wire import encode

# Makes of a value of a type that the rule does not know one that it knows.
Encoder = Callable[[Any], Any]


class Results:
    """Makes results ready to be sent.

    `other`: called for values of types that the rule does not know; it returns one of a type that it knows. `keep_in`:
    the directory for results that cannot be sent; the system's for temporary files by default.
    """

    def __init__(self, other: Encoder | None = None, keep_in: str | Path | None = None) -> None:
        self._other = other or _unknown
        self._keep_in = keep_in

    def plain(self, job: Job, result: Any) -> tuple[Any, int]:
        """The result as a JSON value, and its size in bytes as sent.

        Raises `GiveUp` if it has no such form: to do the work again would end the same.
        """
        if result is None:
            return None, 0
        try:
            return result, len(encode(result))
        except ValueError:
            pass
        try:
            value = self._plain(result)
            return value, len(encode(value))
        except RecursionError:
            why = "it is nested too deeply, or contains itself"
        except Exception as error:
            why = str(error) or repr(error)
        raise GiveUp(f"The handler's result cannot be sent as JSON: {why}. {self.keep_in_file(job, result)}")

    def _plain(self, value: Any) -> Any:
        if isinstance(value, enum.Enum):
            return self._plain(value.value)
        if value is None or isinstance(value, (str, int, float)):
            return value
        if isinstance(value, Mapping):
            return {self._name(name): self._plain(part) for name, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._plain(part) for part in value]
        if isinstance(value, (set, frozenset)):
            return _sorted([self._plain(part) for part in value])
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: self._plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        text = _text(value)
        return text if text is not None else self._plain(self._other(value))

    def _name(self, name: Any) -> Any:
        """The name of a field: numbers, true, false and null as JSON writes them, others by the rule."""
        name = name if isinstance(name, (str, int, float, type(None))) else self._plain(name)
        return self._name(name.value) if isinstance(name, enum.Enum) else name

    def keep_in_file(self, job: Job, result: Any) -> str:
        """Write the result into a file that only this user may read. Returns a sentence that names it."""
        try:
            path = self._written(job, result)
        except Exception as error:
            return f"It could not be kept in a file: {error}."
        return f"It is kept in {path} on {socket.gethostname()}."

    def _written(self, job: Job, result: Any) -> Path:
        suffix, content = _content(result)
        directory = Path(self._keep_in or tempfile.gettempdir())
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lease = re.sub(r"[^\w-]", "", f"{job.id}-{job.attempt}")
        # With mode 0600, and never an existing file.
        number, path = tempfile.mkstemp(suffix, f"jobsite-result-{lease}-", directory)
        with fdopen(number, "wb") as file:
            file.write(content)
        return Path(path)


def _content(result: Any) -> tuple[str, bytes]:
    """As JSON if it is, else as Python can read it again, else as Python prints it."""
    try:
        return ".json", encode(result)
    except ValueError:
        pass
    try:
        return ".pickle", pickle.dumps(result)
    except Exception:
        return ".txt", repr(result).encode(errors="backslashreplace")


def _text(value: Any) -> Any:
    """Values that have one well-known form in JSON; None for others."""
    if isinstance(value, (datetime, date, time)):
        text = value.isoformat()
        return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (UUID, Decimal, PurePath)):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    if hasattr(value, "__pydantic_serializer__"):
        return value.model_dump(mode="json")
    return None


def _sorted(parts: list[Any]) -> list[Any]:
    try:
        return sorted(parts)
    except TypeError:
        return sorted(parts, key=encode)


def _unknown(value: Any) -> Any:
    raise TypeError(f"it has a {type(value).__name__}; give Bot(encode=…) a function for such values")
