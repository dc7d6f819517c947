"""What operators do with error groups: resolve, ignore, open again, and retry the failed jobs of one."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from bots import audit
from bots.acts import Act
from bots.audit import Who
from jobs import fingerprints, lifecycle
from jobs.lifecycle import By
from jobs.models import ErrorGroup, Job, JobQuerySet
from jobs.states import ErrorStatus, JobStatus

#: Jobs that are retried in one transaction, and by one call at most.
BATCH_SIZE, MOST_RETRIED = 500, 10_000
#: The act that makes a group of this status.
ACTS = {ErrorStatus.RESOLVED: Act.RESOLVE, ErrorStatus.IGNORED: Act.IGNORE, ErrorStatus.OPEN: Act.REOPEN}


def set_status(ids: Iterable[int], status: ErrorStatus, *, by: Who, reason: str = "") -> list[ErrorGroup]:
    """Resolve, ignore or open groups that are not so already. Returns those that changed.

    One that is resolved is open again once it fails again; one that is ignored stays so.
    """
    with transaction.atomic():
        rows = ErrorGroup.objects.filter(pk__in=ids).exclude(status=status).order_by("pk")
        groups = list(rows.select_for_update(no_key=True))
        ErrorGroup.objects.filter(pk__in=[group.pk for group in groups]).update(
            status=status, changed_at=Now(), changed_by=by.name, reason=reason, back_at=None
        )
        subjects = [_subject(group, {"status": group.status}, {"status": str(status)}) for group in groups]
        audit.record(ACTS[status], subjects, by=by, reason=reason)
    return list(ErrorGroup.objects.filter(pk__in=[group.pk for group in groups]))


def _subject(group: ErrorGroup, before: dict[str, str], after: dict[str, str]) -> audit.Subject:
    # Without the words of the error, which not everybody may see who may see the audit log.
    return audit.Subject("error_group", group.pk, group.kind, before, after)


def failed(groups: Iterable[ErrorGroup], jobs: JobQuerySet | None = None) -> JobQuerySet:
    """Those of `jobs` (None: all) that have failed for good and are of these groups: the index has them by id."""
    jobs = Job.objects.all() if jobs is None else jobs
    found = Q(pk__in=())
    for group in groups:
        found |= Q(kind=group.kind, fingerprint=group.fingerprint)
    return jobs.alias(fingerprint=fingerprints.fingerprint()).filter(found, status=JobStatus.FAILED)


@dataclass(frozen=True)
class Retried:
    """How many jobs of a group were retried, how many keep failed since another job has their key, and the rest."""

    jobs: int
    keys_taken: int
    more: bool


def retry(group: ErrorGroup, *, most: int, by: By, reason: str = "") -> Retried:
    """Retry the newest failed jobs of a group, at most so many."""
    ids = list(failed([group]).order_by("-id").values_list("pk", flat=True)[: most + 1])
    chosen, done = ids[:most], 0
    for start in range(0, len(chosen), BATCH_SIZE):
        done += len(lifecycle.retry(chosen[start : start + BATCH_SIZE], by=by, reason=reason))
    left = Job.objects.filter(pk__in=chosen, status=JobStatus.FAILED).count() if done < len(chosen) else 0
    return Retried(done, left, len(ids) > most)
