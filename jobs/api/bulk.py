"""Enqueue jobs in bulk: one JSON body, or a stream of NDJSON."""

from typing import Any

from django.db import connection
from django.http import HttpRequest
from ninja import Router, Status

from jobs.api import schemas
from jobs.api.auth import people_only, require
from jobs.enqueue import insert
from jobs.enqueue.files import BadFile, BadLine, read_ndjson
from jobs.enqueue.load import Loaded, load
from jobsite.lib import errors
from jobsite.lib.bodies import NDJSON, UNLESS_NDJSON, is_ndjson, lines_of
from jobsite.lib.params import MAX_ID, integer, only_known

router = Router(auth=people_only, tags=["Jobs"])

#: How many characters of the fault of a line are reported.
MESSAGE_LENGTH = 500
QUERY = [
    {
        "name": "bad",
        "in": "query",
        "description": "NDJSON only. `refuse`: a bad line, and nothing is enqueued. `skip`: the others are.",
        "schema": {"type": "string", "enum": ["refuse", "skip"], "default": "refuse"},
    },
    {
        "name": "count",
        "in": "query",
        "description": "NDJSON only. How many jobs there are; nothing is enqueued when it is another number.",
        "schema": {"type": "integer", "minimum": 1},
    },
]
LINES = {NDJSON[0]: {"schema": {"type": "string", "description": "A job as in `jobs`, one each line."}}}


@router.post(
    "/jobs/bulk",
    response={201: schemas.BulkOut},
    exclude_unset=True,
    openapi_extra={"parameters": QUERY, "requestBody": {"content": LINES}},
)
def enqueue_bulk(request: HttpRequest, data: schemas.BulkIn = UNLESS_NDJSON) -> Any:
    """Add up to 10 000 jobs, all or none; as NDJSON any number. `ids` are in the order given, existing jobs included.

    With `Content-Type: application/x-ndjson` the body is one job a line. It is read as it comes, and enqueued when it
    has come whole.
    """
    require(request, "jobs.add_job")
    only_known(request, ("bad", "count"))
    if is_ndjson(request):
        return Status(201, _stream(request))
    if request.GET:
        raise errors.Invalid(f"{next(iter(request.GET))}: this is for NDJSON (Content-Type: {NDJSON[0]}).")
    rows = insert.enqueue([job.to_new() for job in data.jobs])
    created = sum(new for _, new in rows)
    return Status(201, {"created": created, "existing": len(rows) - created, "ids": [job_id for job_id, _ in rows]})


def _stream(request: HttpRequest) -> dict[str, Any]:
    bad = request.GET.get("bad", "refuse")
    if bad not in ("refuse", "skip"):
        raise errors.Invalid("bad: refuse or skip.")
    count = integer(request, "count", 0, MAX_ID)
    lines = lines_of(request, counted=count > 0)
    if not connection.in_atomic_block:
        # A producer may take an hour to send the stream: the connection goes back to the pool.
        connection.close()
    try:
        loaded = load(read_ndjson(lines), skip_bad=bad == "skip", max_ids=schemas.MAX_BULK, count=count or None)
    except BadFile as error:
        raise errors.BadRequest(f"The body cannot be read: {error}. Nothing was enqueued.") from None
    if loaded.bad and bad == "refuse":
        raise _refusal(loaded)
    out: dict[str, Any] = {"created": loaded.created, "existing": loaded.existing, "ids": loaded.ids}
    if bad == "skip":
        out |= {"bad": loaded.bad, "errors": [_bad_line(line) for line in loaded.bad_lines]}
    return out


def _bad_line(line: BadLine) -> dict[str, Any]:
    return {"line": line.number, "message": line.message[:MESSAGE_LENGTH]}


def _refusal(loaded: Loaded) -> errors.Invalid:
    listed = [{"field": line.place, **_bad_line(line)} for line in loaded.bad_lines]
    first = "; ".join(f"{line['field']}: {line['message']}" for line in listed[:3])
    others = f"; and {loaded.bad - 3} more" if loaded.bad > 3 else ""
    return errors.Invalid(f"{first}{others}. Nothing was enqueued.", errors=listed, bad=loaded.bad)
