"""Read new jobs from a file as other programs write them: one JSON object a line, or one JSON array."""

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, IncrementalDecoder, getincrementaldecoder
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from pydantic import TypeAdapter, ValidationError

from jobs.enqueue.new_job import JobIn, NewJob
from jobsite.lib.bodies import Readable
from jobsite.lib.errors import BadRequest, Invalid
from jobsite.lib.strict_json import is_plain, loads

#: Bytes of a stream that are read at once.
CHUNK = 256 * 1024
_from_json = TypeAdapter(JobIn).validator.validate_json


class BadFile(Exception):
    """The file cannot be read: its encoding, its header, or the array that it is. The text says what to do."""


@dataclass(frozen=True)
class BadLine:
    """A line that is not a job: its number, from 1, and the fault. Of an array: an item."""

    number: int
    message: str
    unit: str = "line"

    @property
    def place(self) -> str:
        """Where it is, such as `line 3`."""
        return f"{self.unit} {self.number}"


def read_ndjson(stream: Readable) -> Iterator[NewJob | BadLine]:
    """Read jobs, one JSON object a line, holding one line in memory at a time. Skips empty lines.

    A file that begins with `[` is one JSON array, and read whole. BadFile when it is none, or too long for that.
    """
    lines = numbered_lines(Utf8(stream))
    first = True
    for number, line in lines:
        if line is None:
            yield BadLine(number, f"longer than {max_line()} bytes")
        elif line and not line.isspace():
            if first and line.lstrip().startswith(b"["):
                yield from _read_array(line, lines)
                return
            yield _parse_line(number, line)
            first = False


def _read_array(line: bytes, lines: Iterator[tuple[int, bytes | None]]) -> Iterator[NewJob | BadLine]:
    most = settings.MAX_BULK_BODY_BYTES
    parts, size = [line], len(line)
    for _, part in lines:
        size += max_line() if part is None else len(part)
        if size > most or part is None:
            raise BadFile(f"a JSON array may have {most} bytes; write one job a line instead (NDJSON)")
        parts.append(part)
    try:
        items = loads(b"\n".join(parts))
    except (BadRequest, Invalid) as error:
        raise BadFile(f"it begins as a JSON array. {error.detail.removesuffix('.')}") from None
    for number, item in enumerate(items, 1):
        yield validate_job(number, item, "item")


def _parse_line(number: int, line: bytes) -> NewJob | BadLine:
    # The fast parser accepts nothing plain that the strict one refuses, which decides about the rest.
    if is_plain(line):
        try:
            job: JobIn = _from_json(line)
        except ValidationError:
            pass
        else:
            return job.to_new()
    try:
        return validate_job(number, loads(line))
    except (BadRequest, Invalid) as error:
        return BadLine(number, error.detail)


def validate_job(number: int, value: Any, unit: str = "line") -> NewJob | BadLine:
    """Make a job of what was read at this place."""
    try:
        return JobIn.model_validate(value).to_new()
    except ValidationError as error:
        faults = [(".".join(str(part) for part in e["loc"])[:200], e["msg"]) for e in error.errors(include_input=False)]
        text = "; ".join(f"{field}: {message}" if field else message for field, message in faults)
        return BadLine(number, text, unit)


def max_line() -> int:
    """How many bytes a line may have."""
    # JSON may write a character as \u0041: six bytes for one. The rest is room for the other fields.
    return 6 * int(settings.MAX_PAYLOAD_BYTES) + 65_536


def numbered_lines(stream: Readable) -> Iterator[tuple[int, bytes | None]]:
    """Number the lines, without their ends. None for one that is too long, of which only a chunk is held in memory."""
    limit, number, rest, skipped = max_line(), 0, b"", False
    while chunk := stream.read(CHUNK):
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        for line in lines:
            number += 1
            yield number, None if skipped or len(line) > limit else line
            skipped = False
        if skipped or len(rest) > limit:
            rest, skipped = b"", True
    if skipped:
        yield number + 1, None
    elif rest:
        yield number + 1, rest


class Utf8:
    """A stream as UTF-8 without a byte order mark, also when its mark names UTF-16. BadFile for UTF-16 without one."""

    def __init__(self, stream: Readable) -> None:
        self._source, self._begun = stream, False
        self._decoder: IncrementalDecoder | None = None

    def read(self, size: int, /) -> bytes:
        """Read up to about `size` bytes."""
        if not self._begun:
            return self._begin(size)
        return self._decode(self._decoder, self._source.read(size)) if self._decoder else self._source.read(size)

    def _begin(self, size: int) -> bytes:
        self._begun = True
        # More than a mark, since no bytes would be the end.
        start = self._source.read(size)
        while len(start) <= len(BOM_UTF8) and (more := self._source.read(size)):
            start += more
        if start.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            self._decoder = getincrementaldecoder("utf-16")()
            return self._decode(self._decoder, start)
        if b"\0" in start[:4]:
            raise BadFile("it is not UTF-8, and looks like UTF-16; save it as UTF-8 (in Excel: “CSV UTF-8”)")
        return start.removeprefix(BOM_UTF8)

    def _decode(self, decoder: IncrementalDecoder, chunk: bytes) -> bytes:
        # Half of a character makes no text, and is not the end.
        while True:
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                raise BadFile(f"it begins as UTF-16 and is broken: {error.reason}; save it as UTF-8") from None
            if text or not chunk:
                return text.encode()
            chunk = self._source.read(CHUNK)
