"""Scale: how many jobs there are for bots, for what starts and stops bots: KEDA, or an autoscaler of pods."""

import re
from typing import Any

from django.http import HttpRequest
from ninja import Router

from bots.models import NAME_LENGTH
from jobs.api import schemas
from jobs.api.auth import key_of, people_only, require
from jobs.enqueue.new_job import Kind
from jobs.models import JobKind
from jobs.stats import counts
from jobsite.lib.errors import Invalid
from jobsite.lib.names import KIND_PATTERN
from jobsite.lib.params import takes

router = Router(auth=people_only, tags=["Jobs"])


@router.get("/scale", response=schemas.ScaleOut, operation_id="getScale")
@takes(kind=(list[Kind], "Only jobs of this kind; several times for several. Without it: of all that the key may see."))
def scale(request: HttpRequest) -> Any:
    """Count the jobs that bots could work on now, for an autoscaler.

    `jobs` is how many slots of bots could be busy.
    """
    asked = request.GET.getlist("kind")
    if len(asked) > schemas.MAX_KINDS:
        raise Invalid.about("kind", f"at most {schemas.MAX_KINDS} kinds.")
    if [kind for kind in asked if len(kind) > NAME_LENGTH or not re.match(KIND_PATTERN, kind)]:
        raise Invalid.about("kind", "the name of a kind.")
    kinds = asked or key_of(request).kinds
    require(request, "jobs.view_job", kinds=kinds)
    of_kinds = counts.workloads(kinds or list(JobKind.objects.values_list("name", flat=True)))
    rows: list[dict[str, Any]] = [
        {"kind": one.kind, "jobs": one.jobs, "due": one.due, "held": one.held} for one in of_kinds
    ]
    return {name: sum(row[name] for row in rows) for name in ("jobs", "due", "held")} | {"kinds": rows}
