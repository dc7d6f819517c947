"""Enqueue jobs in bulk: one JSON body, or a stream of NDJSON or CSV."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection
from django.http import HttpRequest
from ninja import Router, Status

from bots.acts import Act
from bots.audit import caller
from jobs.api import schemas
from jobs.api.auth import enqueuer, people_only, require, require_still
from jobs.enqueue import insert, refusals
from jobs.enqueue.csv_file import read_csv
from jobs.enqueue.files import BadFile, BadLine, read_ndjson
from jobs.enqueue.load import Loaded, load
from jobs.enqueue.new_job import NewJob
from jobs.errors import TooManyPending
from jobs.lifecycle import By
from jobs.states import Added
from jobsite.lib import errors
from jobsite.lib.bodies import CSV, NDJSON, UNLESS_STREAM, Readable, content_type, is_stream, lines_of
from jobsite.lib.declared import refuses
from jobsite.lib.params import MAX_ID, integer, takes

router = Router(auth=people_only, tags=["Jobs"])

#: How many characters of the fault of a line are reported.
MESSAGE_LENGTH = 500
QUERY = [
    {
        "name": "bad",
        "in": "query",
        "description": "NDJSON and CSV only. `refuse`: a bad line, and nothing is enqueued. `skip`: the others are.",
        "schema": {"type": "string", "enum": ["refuse", "skip"], "default": "refuse"},
    },
    {
        "name": "count",
        "in": "query",
        "description": "NDJSON and CSV only. How many jobs there are; nothing is enqueued when it is another number.",
        "schema": {"type": "integer", "minimum": 1},
    },
    {
        "name": "Content-Encoding",
        "in": "header",
        "description": "NDJSON and CSV only.",
        "schema": {"type": "string", "enum": ["gzip", "identity"], "default": "identity"},
    },
]
LINES = {
    NDJSON[0]: {
        "schema": {"type": "string", "description": "A job as in `jobs`, one each line."},
        "example": '{"kind": "sum"}\n{"kind": "sum"}\n',
    },
    CSV[0]: {
        "schema": {"type": "string", "description": "The names of fields, then a job each line."},
        "example": "kind,priority\nsum,0\nsum,1\n",
    },
}
#: The charsets of CSV. A file says by its first bytes which of them it is.
CHARSETS = ("", "utf-8", "utf8", "us-ascii", "utf-16")


@router.post(
    "/jobs/bulk",
    response={201: schemas.BulkOut},
    exclude_unset=True,
    operation_id="enqueueJobs",
    openapi_extra={"parameters": QUERY, "requestBody": {"content": LINES}},
)
@takes("bad", "count")
@refuses(TooManyPending, errors.LengthRequired)
def enqueue_bulk(request: HttpRequest, data: schemas.BulkIn = UNLESS_STREAM) -> Any:
    """Add many jobs, all or none.

    Up to 10 000 as JSON, any number as NDJSON or CSV. `ids` are in the order given, existing jobs included.

    With `Content-Type: application/x-ndjson` the body is one job a line; with `text/csv` a line names the fields, and
    each further one is a job. It is read as it comes, and enqueued when it has come whole.
    """
    require(request, "jobs.add_job", scope=Act.ENQUEUE, kinds=())
    if is_stream(request.META):
        with refusals.recorded(*enqueuer(request)):
            return Status(201, _stream(request))
    if request.GET:
        message = f"this is for NDJSON and CSV (Content-Type: {NDJSON[0]} or {CSV[0]})."
        raise errors.Invalid.about(next(iter(request.GET)), message)
    require(request, "jobs.add_job", scope=Act.ENQUEUE, kinds={job.kind for job in data.jobs})
    with refusals.recorded(*enqueuer(request)):
        rows = insert.enqueue([job.to_new() for job in data.jobs], by=By.operator(caller(request)))
    became = Counter(added for _, added in rows)
    counts = {str(added): became[added] for added in Added}
    return Status(201, counts | {"ids": [job_id for job_id, _ in rows], "outcomes": [added for _, added in rows]})


def _stream(request: HttpRequest) -> dict[str, Any]:
    bad = request.GET.get("bad", "refuse")
    if bad not in ("refuse", "skip"):
        raise errors.Invalid.about("bad", "refuse or skip.")
    count = integer(request, "count", 0, MAX_ID)
    lines = lines_of(request, counted=count > 0)
    if not connection.in_atomic_block:
        # A producer may take an hour to send the stream: the connection goes back to the pool.
        connection.close()

    def still_allowed(created: int, replaced: int, kinds: set[str]) -> None:
        require_still(request, "jobs.add_job", scope=Act.ENQUEUE, kinds=kinds)

    jobs, skip = _reader(request)(lines), bad == "skip"
    try:
        loaded = load(
            jobs, skip_bad=skip, max_ids=schemas.MAX_BULK, count=count or None, before_commit=still_allowed,
            by=By.operator(caller(request)),
        )  # fmt: skip
    except BadFile as error:
        raise errors.BadRequest(f"The body cannot be read: {error}. Nothing was enqueued.") from None
    if loaded.bad and bad == "refuse":
        raise _refusal(loaded)
    out: dict[str, Any] = {name: getattr(loaded, name) for name in (*Added.values, "ids", "outcomes")}
    if bad == "skip":
        out |= {"bad": loaded.bad, "errors": [_bad_line(line) for line in loaded.bad_lines]}
    return out


def _reader(request: HttpRequest) -> Callable[[Readable], Iterator[NewJob | BadLine]]:
    """Return what reads jobs from this body: the same as reads a file in the console and by the command."""
    if content_type(request.META) not in CSV:
        return read_ndjson
    charset = str((request.content_params or {}).get("charset", "")).lower()
    if charset not in CHARSETS:
        raise errors.BadRequest(
            f"Content-Type: the charset {charset[:40]} is not read; send CSV as UTF-8.", field="Content-Type"
        )
    return read_csv


def _bad_line(line: BadLine) -> dict[str, Any]:
    return {"line": line.number, "message": line.message[:MESSAGE_LENGTH]}


def _refusal(loaded: Loaded) -> errors.Invalid:
    listed = [{"field": line.place, **_bad_line(line)} for line in loaded.bad_lines]
    first = "; ".join(f"{line['field']}: {line['message']}" for line in listed[:3])
    others = f"; and {loaded.bad - 3} more" if loaded.bad > 3 else ""
    return errors.Invalid(f"{first}{others}. Nothing was enqueued.", errors=listed, bad=loaded.bad)
