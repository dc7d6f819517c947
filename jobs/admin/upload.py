"""Upload jobs from a file: check it first, then load it."""

import io
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
from jobs.enqueue.files import BadFile, BadLine, read_csv, read_ndjson
from jobs.enqueue.new_job import NewJob
from jobsite.lib.admin import count_of

#: The most bad lines that are listed.
BAD_LINES_SHOWN = 100
#: The most kinds whose jobs are counted.
KINDS_SHOWN = 50
#: Jobs in one INSERT, and in one query of an export.
BATCH_SIZE = 1000


def upload(page: admin.ModelAdmin, request: HttpRequest) -> HttpResponse:
    """GET shows the form; the first POST checks the file; the second, with its text in the form, loads it."""
    if not request.user.has_perm("jobs.add_job"):
        raise PermissionDenied
    context = page.admin_site.each_context(request) | {
        "title": "Jobs from a file", "opts": page.opts, "most": settings.MAX_BODY_BYTES // 1024,
    }  # fmt: skip
    if request.method == "POST":
        text, as_csv, fault = _given(request)
        if fault:
            context["fault"] = fault
        else:
            context |= {"text": text, "format": "csv" if as_csv else "ndjson"} | _check(text, as_csv)
            good = context.get("good", [])
            wanted = "load" in request.POST or "load_good" in request.POST
            if wanted and good and ("load_good" in request.POST or not context["bad_count"]):
                return _load(page, request, good, context["bad_count"])
    return TemplateResponse(request, "admin/jobs/job/upload.html", context)


def _given(request: HttpRequest) -> tuple[str, bool, str]:
    """Return the file's text, whether it is CSV, and an error of the whole file."""
    if "text" in request.POST:
        return request.POST["text"], request.POST.get("format") == "csv", ""
    file = request.FILES.get("file")
    if file is None:
        return "", False, "Choose a file first."
    if (file.size or 0) > settings.MAX_BODY_BYTES:
        most = settings.MAX_BODY_BYTES // 1024
        return (
            "",
            False,
            f"The file is larger than {most} KB. Load it with `manage.py enqueue FILE` or POST /jobs/bulk.",
        )
    try:
        text = file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return "", False, f"The file is not UTF-8: byte {error.start + 1} cannot be read."
    return text, str(file.name).lower().endswith(".csv"), ""


def _check(text: str, as_csv: bool) -> dict[str, Any]:
    """Check the file: its good jobs, bad lines, and the number of jobs of each kind."""
    stream = io.BytesIO(text.encode("utf-8", "surrogatepass"))
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
    created = 0
    with transaction.atomic():
        for start in range(0, len(good), BATCH_SIZE):
            created += sum(new for _, new in insert.enqueue(good[start : start + BATCH_SIZE]))
        if created:
            kinds = dict(Counter(job.kind for job in good).most_common(KINDS_SHOWN))
            one = audit.Subject("job", "", count_of(created, "job"), after={"created": created, "kinds": kinds})
            audit.record(Act.ENQUEUE, [one], by=audit.caller(request), reason="from a file")
    existing = len(good) - created
    text = f"Enqueued {count_of(created, 'job')}."
    if existing:
        text += f" {existing} {'was' if existing == 1 else 'were'} enqueued before."
    if bad:
        text += f" Skipped {count_of(bad, 'bad line')}."
    page.message_user(request, text, messages.SUCCESS if created else messages.WARNING)
    return redirect(reverse("admin:jobs_job_changelist") + "?view=pending")
