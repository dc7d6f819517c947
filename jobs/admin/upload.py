"""Upload jobs from a file: check it first, then load it."""

import base64
import binascii
import io
import zlib
from collections import Counter
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from bots import audit
from bots.acts import Act
from jobs.enqueue import insert
from jobs.enqueue.csv_file import is_csv, read_csv
from jobs.enqueue.files import CHUNK, BadFile, BadLine, read_ndjson
from jobs.enqueue.new_job import NewJob
from jobs.enqueue.refusals import recorded
from jobs.errors import TooManyPending
from jobs.lifecycle import By
from jobs.states import Added
from jobsite.lib.admin import count_of

#: The most bad lines that are listed.
BAD_LINES_SHOWN = 100
#: The most kinds whose jobs are counted.
KINDS_SHOWN = 50
#: Jobs in one INSERT, and in one query of an export.
BATCH_SIZE = 1000


def upload(page: admin.ModelAdmin, request: HttpRequest) -> HttpResponse:
    """GET shows the form; the first POST checks the file; the second, with its content in the form, loads it."""
    if not request.user.has_perm("jobs.add_job"):
        raise PermissionDenied
    context = page.admin_site.each_context(request) | {
        "title": "Jobs from a file", "opts": page.opts, "most": settings.MAX_BODY_BYTES // 1024,
    }  # fmt: skip
    if request.method == "POST":
        data, as_csv, fault = _given(request)
        if fault:
            context["fault"] = fault
        else:
            context |= {"content": _pack(data), "format": "csv" if as_csv else "ndjson"} | _check(data, as_csv)
            good = context.get("good", [])
            wanted = "load" in request.POST or "load_good" in request.POST
            if wanted and good and ("load_good" in request.POST or not context["bad_count"]):
                try:
                    with recorded(request.user.get_username()):
                        return _load(page, request, good, context["bad_count"])
                except TooManyPending as error:
                    context["fault"] = error.detail
    return TemplateResponse(request, "admin/jobs/job/upload.html", context)


def _pack(data: bytes) -> str:
    """Encode the file for a field of the form. A browser changes the ends of lines in any other text."""
    return base64.b64encode(zlib.compress(data)).decode()


def _unpack(content: str) -> bytes:
    """Return the file. ValueError for what `_pack` did not write."""
    try:
        unzip = zlib.decompressobj()
        data = unzip.decompress(base64.b64decode(content, validate=True), settings.MAX_BODY_BYTES)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(str(error)) from None
    if not unzip.eof:
        raise ValueError("it is cut off or too long")
    return data


def _given(request: HttpRequest) -> tuple[bytes, bool, str]:
    """Return the file, whether it is CSV, and an error of the whole file."""
    if "content" in request.POST:
        try:
            return _unpack(request.POST["content"]), request.POST.get("format") == "csv", ""
        except ValueError:
            return b"", False, "The file did not come back whole. Nothing was loaded; choose it again."
    file = request.FILES.get("file")
    if file is None:
        return b"", False, "Choose a file first."
    if (file.size or 0) > settings.MAX_BODY_BYTES:
        most = settings.MAX_BODY_BYTES // 1024
        return (
            b"",
            False,
            f"The file is larger than {most} KB. Load it with `manage.py enqueue FILE` or POST /jobs/bulk.",
        )
    data = file.read()
    return data, is_csv(str(file.name), data[:CHUNK]), ""


def _check(data: bytes, as_csv: bool) -> dict[str, Any]:
    """Check the file: its good jobs, bad lines, and the number of jobs of each kind."""
    stream = io.BytesIO(data)
    good: list[NewJob] = []
    bad: list[BadLine] = []
    try:
        for item in (read_csv if as_csv else read_ndjson)(stream):
            if isinstance(item, BadLine):
                bad.append(item)
            else:
                good.append(item)
    except BadFile as error:
        return {"fault": f"Nothing can be loaded: {error}."}
    return {
        "good": good,
        "bad": bad[:BAD_LINES_SHOWN],
        "bad_count": len(bad),
        "bad_more": max(0, len(bad) - BAD_LINES_SHOWN),
        "kinds": Counter(job.kind for job in good).most_common(KINDS_SHOWN),
        "checked": True,
    }


def _load(page: admin.ModelAdmin, request: HttpRequest, good: list[NewJob], bad: int) -> HttpResponse:
    by, became = By.operator(audit.caller(request)), Counter[Added]()
    with transaction.atomic():
        for start in range(0, len(good), BATCH_SIZE):
            became.update(added for _, added in insert.enqueue(good[start : start + BATCH_SIZE], by=by))
        created, replaced = became[Added.CREATED], became[Added.REPLACED]
        if created or replaced:
            kinds = dict(Counter(job.kind for job in good).most_common(KINDS_SHOWN))
            one = audit.Subject(
                "job",
                "",
                count_of(created, "job"),
                after={"created": created, "kinds": kinds} | ({"replaced": replaced} if replaced else {}),
            )
            audit.record(Act.ENQUEUE, [one], by=audit.caller(request), reason="from a file")
    existing = became[Added.EXISTING]
    text = f"Enqueued {count_of(created, 'job')}."
    if replaced:
        text += f" Replaced {count_of(replaced, 'job')} that had the same key."
    if existing:
        text += f" {existing} {'was' if existing == 1 else 'were'} enqueued before."
    if bad:
        text += f" Skipped {count_of(bad, 'bad line')}."
    page.message_user(request, text, messages.SUCCESS if created or replaced else messages.WARNING)
    return redirect(reverse("admin:jobs_job_changelist") + "?view=pending")
