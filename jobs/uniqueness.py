"""Which job has a key: the conditions on jobs, for the ORM and in SQL, with their constraints and indexes.

The job that is there says how long it keeps its key (`unique_mode`). One that was claimed once never takes its key
again by itself, whatever becomes of its attempt: so no turn and no sweep can meet the unique index. Only an operator's
retry can, and looks first (`retry.sql` of the lifecycle).
"""

from typing import Any

from django.db import models
from django.db.models import Exists, OuterRef, Q

from jobs.states import FINISHED, UNFINISHED, JobStatus, Unique

_HAS_ONE = Q(key__isnull=False)
#: A condition on jobs: it has its key, and no other job of its kind can have the same.
HOLDS_KEY = _HAS_ONE & (
    Q(unique_mode=Unique.ALWAYS)
    | Q(unique_mode=Unique.UNFINISHED, status__in=UNFINISHED)
    | Q(unique_mode=Unique.PENDING, status=JobStatus.PENDING, attempt=0)
)
#: The other jobs that were given a key.
LET_KEY_GO = _HAS_ONE & (
    Q(unique_mode=Unique.UNFINISHED, status__in=FINISHED)
    | (Q(unique_mode=Unique.PENDING) & (~Q(status=JobStatus.PENDING) | Q(attempt__gte=1)))
)

#: `HOLDS_KEY` in SQL, of a job j.
HOLDS_KEY_SQL = """j.key IS NOT NULL AND (
        j.unique_mode = 'always'
        OR (j.unique_mode = 'unfinished' AND j.status IN ('pending', 'claimed', 'processing'))
        OR (j.unique_mode = 'pending' AND j.status = 'pending' AND j.attempt = 0)
    )"""
#: In SQL, of a finished job j: it takes its key again when it is pending.
TAKES_KEY_SQL = """(j.key IS NOT NULL AND (
        j.unique_mode = 'unfinished' OR (j.unique_mode = 'pending' AND j.attempt = 0)
    ))"""


def is_behind(jobs: "models.QuerySet[Any]") -> Q:
    """A condition on finished jobs: it takes its key again when it is pending, and so does a newer one of `jobs`."""
    takes_key = Q(unique_mode=Unique.UNFINISHED) | Q(unique_mode=Unique.PENDING, attempt=0)
    same = {"kind": OuterRef("kind"), "key": OuterRef("key"), "pk__gt": OuterRef("pk")}
    return _HAS_ONE & takes_key & Q(Exists(jobs.order_by().filter(LET_KEY_GO, takes_key, **same)))


CONSTRAINTS = (
    models.CheckConstraint(name="job_unique_mode_valid", condition=Q(unique_mode__in=Unique.values)),
    models.UniqueConstraint(name="job_key_once_per_kind", fields=["kind", "key"], condition=HOLDS_KEY),
)
#: Each job with a key is in this index or in that of the constraint.
INDEXES = (models.Index(name="job_key_let_go", fields=["kind", "key", "id"], condition=LET_KEY_GO),)
