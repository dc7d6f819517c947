"""Export a list of jobs as CSV or NDJSON."""

import csv
import io
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone

from jobs import payloads
from jobs.admin.job_list import asked_filter
from jobs.admin.upload import BATCH_SIZE
from jobs.lists.job_list import JobFilter
from jobs.models import Job
from jobsite.lib import replica
from jobsite.lib.plain_text import in_cell
from jobsite.lib.reads import bounded

#: The columns of an export.
COLUMNS = (
    "id", "kind", "group", "status", "priority", "key", "attempt", "max_attempts", "created_at", "run_at", "claimed_at",
    "started_at", "finished_at", "error", "payload", "result",
)  # fmt: skip
#: The attribute of a job for a column that has another name.
ATTRIBUTES = {"kind": "kind_id", "group": "group_name", "attempt": "attempt_number"}


def export(page: admin.ModelAdmin, request: HttpRequest) -> StreamingHttpResponse:
    """Stream all jobs that match the list's filter, newest first. Who may see no payloads gets no columns of them."""
    if not page.has_view_permission(request):
        raise PermissionDenied
    as_csv = request.GET.get("format") == "csv"
    hidden = () if payloads.may_see(request.user) else payloads.FIELDS
    columns = [name for name in COLUMNS if name not in hidden]
    rows = _rows(asked_filter(request), columns)
    # The first is found before anything is answered, so that a search that takes too long is refused.
    rows = itertools.chain(list(itertools.islice(rows, 1)), rows)
    body = csv_lines(columns, (row.items() for row in rows)) if as_csv else _ndjson(rows)
    kind = "text/csv; charset=utf-8" if as_csv else "application/x-ndjson"
    response = StreamingHttpResponse(body, content_type=kind)
    name = f"jobs-{timezone.now():%Y%m%d-%H%M%S}.{'csv' if as_csv else 'ndjson'}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _rows(job_filter: JobFilter, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    last: int | None = None
    while True:
        # Page by id: behind a pooler no cursor outlives its transaction.
        with bounded():
            batch = replica.read(partial(_batch, job_filter, last))
        for job in batch:
            yield {name: getattr(job, ATTRIBUTES.get(name, name)) for name in columns}
        if len(batch) < BATCH_SIZE:
            return
        last = batch[-1].pk


def _batch(job_filter: JobFilter, before: int | None, behind: float | None) -> list[Job]:
    return list(Job.objects.filter(pk__in=job_filter.newest(BATCH_SIZE, before=before)).order_by("-id"))


def _ndjson(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        yield json.dumps(row, default=lambda moment: moment.isoformat(), ensure_ascii=False) + "\n"


def csv_lines(columns: Iterable[str], rows: Iterable[Iterable[tuple[str, Any]]]) -> Iterator[str]:
    """Write a table as CSV, line by line. Each row is `(column, value)` in the columns' order."""
    line = io.StringIO()
    writer = csv.writer(line)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(name, value) for name, value in row])
        yield line.getvalue()
        line.seek(0)
        line.truncate()
    yield line.getvalue()


def _cell(name: str, value: Any) -> Any:
    if name in ("payload", "result"):
        return json.dumps(value, ensure_ascii=False)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return in_cell(value) if isinstance(value, str) else value
