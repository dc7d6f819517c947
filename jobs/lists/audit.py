"""Find the entries of the audit log about one job: its own, and those of acts on several jobs at once."""

from django.db.models import Q

from jobs.models import JobEvent
from jobsite.lib.params import number_in


def about_job(job_id: str) -> Q:
    """A condition on entries. A text that is no id matches none."""
    own = Q(object_type="job", object_id=job_id)
    if (number := number_in(job_id)) is None:
        return own
    # Acts on several jobs are known by the events that they made.
    made = JobEvent.objects.filter(job=number).exclude(audit=None).values("audit")
    return own | Q(pk__in=made)
