"""The parts of an explanation, and the facts that jobs of every status have: their key, and their schedule."""

from dataclasses import asdict, dataclass, field
from typing import Any

from jobs import uniqueness
from jobs.models import Job
from jobs.states import Unique
from jobsite.lib.badges import exact
from jobsite.lib.durations import words


@dataclass(frozen=True)
class Evidence:
    """One fact: its name, its text, and its values."""

    about: str
    says: str
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Explained:
    """The explanation."""

    job: int
    kind: str
    status: str
    why: str
    evidence: list[Evidence]

    def as_dict(self) -> dict[str, Any]:
        """The explanation for programs. Times are datetimes, durations are in seconds."""
        return asdict(self)


def key(job: Job) -> Evidence:
    """The key of a job that was given one, and which job has it now."""
    keeps = Unique(job.unique_mode).label
    having = Job.objects.filter(uniqueness.HOLDS_KEY, kind=job.kind_id, key=job.key).order_by().first()
    now = ""
    if having is None:
        now = "; no job has it now"
    elif having.pk != job.pk:
        now = f"; job {having.pk} has it now"
    figures = {"key": job.key, "unique": job.unique_mode, "held_by_job": having.pk if having else None}
    return Evidence("key", f"{job.key}, which it keeps {keeps}{now}", figures)


def schedule(job: Job) -> Evidence:
    """The schedule that made it."""
    at = job.scheduled_for or job.created_at
    says = f"{job.schedule} made it for {exact(at)}, {words(job.created_at - at)} after that"
    return Evidence("schedule", says, {"schedule": job.schedule, "scheduled_for": job.scheduled_for})
