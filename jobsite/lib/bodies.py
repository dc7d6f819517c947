"""Bound request bodies, read them whole before anything is done, and give `POST /jobs/bulk` a stream of lines."""

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
#: The content types that mean one job a line: as JSON, and as a table under a heading.
NDJSON = ("application/x-ndjson", "application/ndjson")
CSV = ("text/csv", "text/tab-separated-values")
#: Under this name an environ says that `wsgi.input` has the body from its first to its last byte.
WHOLE = "jobsite.body_is_whole"
#: Under this name an environ has the error with which its request is to be refused.
REFUSED = "jobsite.refused"
#: The paths with bodies of calls. Those of other paths are forms.
CALLS = "/api/"


def content_type(environ: Mapping[str, Any]) -> str:
    """Return the content type of the body, without its parameters."""
    return str(environ.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower()


def is_stream(environ: Mapping[str, Any]) -> bool:
    """Say whether the body is read while it comes, because it may be larger than memory."""
    if not str(environ["PATH_INFO"]).endswith("/jobs/bulk"):
        return False
    return content_type(environ) in (*NDJSON, *CSV)


def longest(environ: Mapping[str, Any]) -> int:
    """Return how many bytes the body may have. A form, with its files, has what Django allows for one without."""
    path = str(environ["PATH_INFO"])
    if not path.startswith(CALLS):
        return int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    if is_stream(environ):
        return int(settings.MAX_STREAM_BYTES)
    return int(settings.MAX_BULK_BODY_BYTES if path.endswith("/bulk") else settings.MAX_BODY_BYTES)


def is_chunked(environ: Mapping[str, Any]) -> bool:
    """Say whether the body comes in chunks, without a length."""
    return bool(environ.get("HTTP_TRANSFER_ENCODING")) and not environ.get("CONTENT_LENGTH")


def announced(environ: Mapping[str, Any], most: int) -> int:
    """Return the body's length by its header, 0 without one. TooLarge when it is more than `most`."""
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        raise errors.BadRequest("Content-Length is not a number.", field="Content-Length") from None
    if length > most:
        raise errors.TooLarge(f"The body has {length} bytes; this call takes at most {most}.")
    return max(0, length)


def may_discard(environ: Mapping[str, Any], most: int) -> bool:
    """Say whether to read a body that is too large, so that its client comes to read the answer."""
    # A client that sent `Expect` waits with its body, and reading would ask for it.
    return int(environ.get("CONTENT_LENGTH") or 0) <= most + SPARE_BYTES and "HTTP_EXPECT" not in environ


def broken_off(done: int, length: int | None) -> errors.BadRequest:
    """Return the error for a body that ended too early. It is never an empty one (RFC 9112, section 8)."""
    of = f"its {length} bytes" if length is not None else "a body in chunks, without its end"
    return errors.BadRequest(f"The body broke off after {done} bytes of {of}. Nothing was done; send it again.")


def put_whole(environ: WSGIEnvironment, body: bytes) -> None:
    """Give the environ its body."""
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ[WHOLE] = True


def read_whole(environ: WSGIEnvironment) -> bytes:
    """Return the body of a call that has its whole body; it can be read once more."""
    stream = environ["wsgi.input"]
    body: bytes = stream.read()
    stream.seek(0)
    return body


def take_whole(environ: WSGIEnvironment) -> None:
    """Read the body before the call is looked at, unless it is a stream or was read by `jobsite.serving`.

    BadRequest for one that broke off, TooLarge for one that is too long. LengthRequired for one in chunks: the
    interface to the web server does not tell a broken stream from its end.
    """
    if environ.get(WHOLE):
        return
    most, stream = longest(environ), environ["wsgi.input"]
    try:
        length = announced(environ, most)
    except errors.TooLarge:
        if may_discard(environ, most):
            _discard(stream, int(environ["CONTENT_LENGTH"]))
        raise
    if is_stream(environ):
        return
    if is_chunked(environ):
        raise errors.LengthRequired("A body in chunks ends like a broken connection here. Send it with Content-Length.")
    parts, left = list[bytes](), length
    while left and (part := stream.read(left)):
        parts.append(part)
        left -= len(part)
    if left:
        raise broken_off(length - left, length)
    put_whole(environ, b"".join(parts))


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
        left = (self._most + 1 if self._length is None else self._length) - self._done
        chunk: bytes = self._source.read(left if size is None or size < 0 else min(size, left)) if left else b""
        self._done += len(chunk)
        if self._done > self._most:
            with suppress(errors.JobsiteError):
                _discard(self._source, SPARE_BYTES)
            raise errors.TooLarge(f"The body has more than {self._most} bytes, which is what this call takes.")
        if not chunk and size and self._length is not None and self._done < self._length:
            raise broken_off(self._done, self._length)
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


def encoding_of(environ: WSGIEnvironment) -> str:
    """Return how a body is compressed, by its `Content-Encoding`; empty: not at all."""
    named = str(environ.get("HTTP_CONTENT_ENCODING", "")).strip().lower()
    return "" if named == "identity" else named


def lines_of(request: HttpRequest, *, counted: bool) -> Readable:
    """Return the body as a stream: unzipped, bounded, and known to be complete when it ends.

    LengthRequired for a chunked body, whose end looks like that of a broken connection, unless it is gzip, whose end
    is marked, or the caller gave the number of jobs (`counted`).
    """
    chunked, source = is_chunked(request.META), request.META["wsgi.input"]
    encoding = encoding_of(request.META)
    if encoding not in ("gzip", ""):
        raise errors.BadRequest("Content-Encoding: only gzip is understood.", field="Content-Encoding")
    if chunked and encoding != "gzip" and not counted:
        raise errors.LengthRequired(
            "A body in chunks ends like a broken connection. Say how many jobs are in it (?count=…), send it with a "
            "Content-Length, or compress it with gzip."
        )
    most = longest(request.META)
    stream = Bounded(source, most, None if chunked else announced(request.META, most))
    return Bounded(Unzipped(stream), most) if encoding == "gzip" else stream


class _NotRead(BodyModel):
    @classmethod
    def get_request_data(cls, request: HttpRequest, api: Any, path_params: Any) -> Any:
        if not is_stream(request.META):
            return super().get_request_data(request, api, path_params)
        # The only field, as a value that needs no validation.
        ((name, field),) = cls.model_fields.items()
        return {name: cast(Any, field.annotation).model_construct()}


class _UnlessStream(Body):  # type: ignore[misc]  # ninja's own kinds of parameters are made in this way
    _model = _NotRead

    @classmethod
    def _param_source(cls) -> str:
        return "body"


#: A JSON body as a parameter. When the body is a stream, it is not read and the parameter is empty.
UNLESS_STREAM: Any = _UnlessStream(...)
