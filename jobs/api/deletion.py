"""Delete jobs by a filter, with all that is stored about them."""

from typing import Any

from django.http import HttpRequest
from ninja import Router

from bots.acts import Act
from bots.audit import caller as audited
from jobs import deletion, payloads
from jobs.api import schemas
from jobs.api.auth import people_only, require
from jobs.lifecycle import By
from jobs.lists.filters import JobFilter
from jobsite.lib.errors import Invalid

router = Router(auth=people_only, tags=["Jobs"])


@router.post("/jobs/delete", response=schemas.DeletedOut)
def delete_jobs(request: HttpRequest, data: schemas.DeleteIn) -> Any:
    """Delete jobs for good.

    With payloads, results, history and late results. A job that a bot holds is left. A call deletes at most `most`, in
    the order of their ids; repeat it with `next_cursor` as `cursor` until that is null.
    """
    chosen = data.filter
    require(request, "jobs.delete_job", scope=Act.DELETE, kinds=chosen.kind or None)
    if chosen.payload:
        # Whether a job matches tells what is in its payload.
        require(request, payloads.PERMISSION, scope=Act.DELETE, kinds=chosen.kind or None)
    asked = JobFilter(
        ids=tuple(chosen.ids), among=tuple(chosen.kind), in_statuses=tuple(map(str, chosen.status)),
        keys=tuple(chosen.key), groups=tuple(chosen.group), contains=chosen.payload,
        created_before=chosen.created_before, finished_before=chosen.finished_before,
    )  # fmt: skip
    if asked.is_empty:
        raise Invalid.about("filter", "name at least one condition: all jobs are never meant.")
    done = deletion.delete(
        asked, by=By.operator(audited(request)), reason=data.reason, most=data.most,
        after=int(data.cursor or 0), dry_run=data.dry_run,
    )  # fmt: skip
    next_cursor = None if done.after is None else str(done.after)
    return {"deleted": done.jobs, "held": done.held, "dry_run": data.dry_run, "next_cursor": next_cursor}
