"""Verbs with which operators correct what is there: edit pending jobs, retry one with changes, take back an act."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Func, IntegerField, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, Now

from bots.acts import Act
from bots.models import AuditEntry
from jobs.errors import NotTakenBack
from jobs.lifecycle.moves import move, retry
from jobs.lifecycle.values import By, Change
from jobs.states import Verb
from jobsite.lib import outcomes
from jobsite.lib.errors import NotFound

#: For how long an act can be undone.
TAKEN_BACK_WITHIN = timedelta(hours=24)
#: The acts that can be.
REVERSIBLE = (Act.CANCEL, Act.PRIORITISE)
#: How many jobs an entry is about.
JOBS_OF_ENTRY = Coalesce(Func(F("after__jobs"), function="jsonb_array_length", output_field=IntegerField()), 1)


@dataclass(frozen=True)
class Edited:
    """What a job gets. None: it keeps what it has. `payload` is JSON as text."""

    run_at: datetime | None = None
    payload: str | None = None

    @classmethod
    def to(cls, run_at: datetime | None, *payload: Any) -> "Edited":
        """With this `run_at`, and this payload if one is given."""
        return cls(run_at, json.dumps(payload[0], ensure_ascii=False, allow_nan=False) if payload else None)

    def recorded(self) -> dict[str, Any]:
        """The change for the audit log, without the payload itself."""
        at = {"run_at": self.run_at.isoformat()} if self.run_at else {}
        return at | ({"payload": "changed"} if self.payload is not None else {})


def edit(job_ids: Iterable[int], *, edited: Edited, by: By, reason: str = "") -> list[Change]:
    """Change when pending jobs are due, or their payload. Those that have that already do not change."""
    asked = edited.recorded()
    return move(Verb.EDIT, job_ids, by, reason, asked, run_at=edited.run_at, payload=edited.payload)


def retry_with(job_id: int, *, edited: Edited, by: By, reason: str = "") -> list[Change]:
    """Retry a failed or cancelled job with changes, in one transaction."""
    with transaction.atomic(), outcomes.before_commit():
        changes = retry([job_id], by=by, reason=reason)
        if changes:
            edit([job_id], edited=edited, by=by, reason=reason)
    return changes


def reversible(entry_id: int) -> AuditEntry:
    """The act, if it can be undone. NotFound where there is none, and NotTakenBack with the reason if it cannot."""
    entry = AuditEntry.objects.filter(pk=entry_id, object_type="job").first()
    if entry is None:
        raise NotFound(f"There is no act {entry_id} on jobs.")
    if entry.verb not in REVERSIBLE:
        raise NotTakenBack(f"Act {entry_id} was {entry.verb}: only {' and '.join(REVERSIBLE)} are taken back.")
    # Since its last step: one in several steps is undone as a whole, or not at all.
    if not entries_of(entry).filter(at__gte=Now() - TAKEN_BACK_WITHIN).exists():
        raise NotTakenBack(f"Act {entry_id} is older than 24 hours.")
    return entry


def entries_of(entry: AuditEntry) -> QuerySet[AuditEntry]:
    """The entries of the act that this one is of, in their order: several where it was done in steps."""
    one = Q(pk=entry.pk) if entry.act is None else Q(act=entry.act, by=entry.by, verb=entry.verb)
    return AuditEntry.objects.filter(one).order_by("id")


def number_of_jobs(entry: AuditEntry) -> int:
    """How many jobs the act was about."""
    return int(entries_of(entry).aggregate(n=Sum(JOBS_OF_ENTRY))["n"])


def jobs_of(entry: AuditEntry) -> list[int]:
    """The jobs that this entry is about."""
    return [int(entry.object_id)] if entry.object_id else [int(pk) for pk in entry.after.get("jobs", [])]


def take_back(entry_id: int, *, by: By, reason: str = "") -> list[Change]:
    """Take back an entry: a cancel of jobs that nobody held, or a change of priority. Returns what changed.

    Jobs to which something was done since are left alone. An act in several steps has several entries.
    """
    entry = reversible(entry_id)
    return move(Verb.TAKE_BACK, jobs_of(entry), by, reason, {"act": entry.pk, "of": entry.verb}, entry=entry.pk)
