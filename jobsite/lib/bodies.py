"""Bound request bodies, and read that of `POST /jobs/bulk` as a stream of lines."""

import gzip
import io
import zlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol, cast
from wsgiref.types import WSGIEnvironment

from django.conf import settings
from django.http import HttpRequest
from ninja.params.models import Body, BodyModel

from jobsite.lib import errors

#: How much of a body that is too long is read and discarded. A client writes all of its body before it reads, so it
#: would not see the answer if the connection were closed before. With more than this beyond the limit, it does not.
SPARE_BYTES = 4 * 1024 * 1024
#: The content types that mean one job a line.
NDJSON = ("application/x-ndjson", "application/ndjson")


def is_ndjson(request: HttpRequest) -> bool:
    """Say whether the body has one job a line."""
    return request.content_type in NDJSON and request.path_info.endswith("/jobs/bulk")


def longest(request: HttpRequest) -> int:
    """Return how many bytes the body may have."""
    if is_ndjson(request):
        return int(settings.MAX_STREAM_BYTES)
    bulk = request.path_info.endswith("/bulk")
    return int(settings.MAX_BULK_BODY_BYTES if bulk else settings.MAX_BODY_BYTES)


def announced(meta: Mapping[str, Any], most: int) -> int | None:
    """Return the body's length by its headers; None for a chunked one, which is bounded while it is read.

    TooLarge when it is more than `most`, BadRequest when it is no number.
    """
    header = meta.get("CONTENT_LENGTH") or ""
    try:
        length = int(header or 0)
    except ValueError:
        raise errors.BadRequest("Content-Length is not a number.") from None
    if length > most:
        # A client that sent `Expect` waits with its body, and reading would ask for it.
        if length <= most + SPARE_BYTES and "HTTP_EXPECT" not in meta:
            _discard(meta["wsgi.input"], length)
        raise errors.TooLarge(f"The body has {length} bytes; this call takes at most {most}.")
    chunked = not header and meta.get("HTTP_TRANSFER_ENCODING") and meta.get("wsgi.input_terminated")
    return None if chunked else max(0, length)


def check_length(request: HttpRequest) -> None:
    """Raise TooLarge for a body whose length is too large; one without a length is bounded while it is read."""
    most = longest(request)
    if announced(request.META, most) is None:
        # Django would read nothing of a chunked body, because it has no length.
        cast(Any, request)._stream = Bounded(request.META["wsgi.input"], most)


def read_body(environ: WSGIEnvironment, most: int) -> bytes:
    """Read a body before Django does, which can read it once more. Raises as `announced` does."""
    length, stream = announced(environ, most), environ["wsgi.input"]
    body: bytes = Bounded(stream, most).read() if length is None else stream.read(length) if length else b""
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _discard(stream: Any, most: int) -> None:
    """Read up to `most` bytes and drop them."""
    while most > 0 and (chunk := stream.read(min(most, 65536))):
        most -= len(chunk)


class Readable(Protocol):
    """A source of bytes: `read` returns at most `size`, and none at the end."""

    def read(self, size: int, /) -> bytes: ...


class Bounded(io.RawIOBase):
    """A stream that raises TooLarge when it is longer than `most` and, with `length`, BadRequest when it is shorter."""

    def __init__(self, stream: Any, most: int, length: int | None = None) -> None:
        self._source, self._most, self._length, self._done = stream, most, length, 0

    def read(self, size: int = -1, /) -> bytes:
        """Read up to `size` bytes, or all."""
        left = self._most + 1 - self._done
        chunk: bytes = self._source.read(left if size is None or size < 0 else min(size, left))
        self._done += len(chunk)
        if self._done > self._most:
            with suppress(errors.JobsiteError):
                _discard(self._source, SPARE_BYTES)
            raise errors.TooLarge(f"The body has more than {self._most} bytes, which is what this call takes.")
        if not chunk and size and self._length is not None and self._done < self._length:
            raise errors.BadRequest(f"The body ended after {self._done} of its {self._length} bytes.")
        return chunk


class Unzipped:
    """The content of a gzip stream. BadRequest when it is none, or ends too early."""

    def __init__(self, stream: Bounded) -> None:
        self._file = gzip.GzipFile(fileobj=stream)

    def read(self, size: int, /) -> bytes:
        """Read up to `size` bytes."""
        try:
            return self._file.read(size)
        except (EOFError, OSError, zlib.error) as error:
            raise errors.BadRequest(f"The body is not good gzip: {error}.") from None


def lines_of(request: HttpRequest, *, counted: bool) -> Readable:
    """Return the body as a stream: unzipped, bounded, and known to be complete when it ends.

    LengthRequired for a chunked body, whose end looks like that of a broken connection, unless it is gzip, whose end
    is marked, or the caller gave the number of jobs (`counted`).
    """
    length = request.META.get("CONTENT_LENGTH") or None
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("gzip", "identity", ""):
        raise errors.BadRequest("Content-Encoding: only gzip is understood.")
    if request.META.get("HTTP_TRANSFER_ENCODING") and length is None and encoding != "gzip" and not counted:
        raise errors.LengthRequired(
            "A body in chunks ends like a broken connection. Say how many jobs are in it (?count=…), send it with a "
            "Content-Length, or compress it with gzip."
        )
    most = longest(request)
    stream = Bounded(request, most, None if length is None else int(length))
    return Bounded(Unzipped(stream), most) if encoding == "gzip" else stream


class _NotRead(BodyModel):
    @classmethod
    def get_request_data(cls, request: HttpRequest, api: Any, path_params: Any) -> Any:
        if not is_ndjson(request):
            return super().get_request_data(request, api, path_params)
        # The only field, as a value that needs no validation.
        ((name, field),) = cls.model_fields.items()
        return {name: cast(Any, field.annotation).model_construct()}


class _UnlessNdjson(Body):  # type: ignore[misc]  # ninja's own kinds of parameters are made in this way
    _model = _NotRead

    @classmethod
    def _param_source(cls) -> str:
        return "body"


#: A JSON body as a parameter. When the body is NDJSON, it is not read and the parameter is empty.
UNLESS_NDJSON: Any = _UnlessNdjson(...)
