"""What a job carries as files: its payload, its result and its error, whole, to copy and to keep."""

import json

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse

from jobs import payloads
from jobs.models import Job


def content(request: HttpRequest, job_id: int, name: str) -> HttpResponse:
    """Send one of `payloads.FIELDS`: JSON, indented, or the text of the error."""
    if not (request.user.has_perm("jobs.view_job") and payloads.may_see(request.user)):
        raise PermissionDenied
    job = Job.objects.filter(pk=job_id).only(name).first()
    if job is None:
        raise Http404(f"There is no job {job_id}.")
    value = getattr(job, name)
    text = value if name == "error" else json.dumps(value, indent=2, ensure_ascii=False)
    kind, ending = ("text/plain", "txt") if name == "error" else ("application/json", "json")
    headers = {"Content-Disposition": f'attachment; filename="job-{job_id}-{name}.{ending}"'}
    return HttpResponse(text, content_type=f"{kind}; charset=utf-8", headers=headers)
