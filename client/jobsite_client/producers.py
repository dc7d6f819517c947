"""The calls of producers, with an API key: add jobs, and read what became of them."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from .messages import JobId, batches, given, json_object, moment
from .transport import Transport

# The most jobs the server takes in one bulk call.
BULK_LIMIT = 10_000
# What is added up over the batches of a bulk call.
COUNTS, LISTS = ("created", "existing", "replaced"), ("ids", "outcomes")


class ProducerCalls(Transport):
    """What `Client` has for producers."""

    def enqueue(
        self,
        kind: str,
        payload: Any = None,
        *,
        priority: int | None = None,
        run_at: datetime | None = None,
        key: str | None = None,
        max_attempts: int | None = None,
        unique: str | None = None,
        on_conflict: str | None = None,
        delay: float | None = None,
        start_by: datetime | None = None,
        run_within: float | None = None,
        heartbeat_within: float | None = None,
        backoff: float | None = None,
        group: str | None = None,
    ) -> dict[str, Any]:
        """Put a job in the queue. Returns it, or the one that has its `key`; `outcome` says which.

        `unique`: how long the job keeps its key, `always`, until it has ended (`unfinished`), or until it is claimed
        for the first time (`pending`). With `pending`, `on_conflict="replace"` gives the job that is there what is sent
        now.

        `run_at` and `start_by` need a time zone. `delay`, in place of `run_at`, and other durations are in seconds.
        After `start_by` nobody gets the job. The call is repeated only with a key that the job keeps: otherwise it is
        not, once the server may have acted on it.
        """
        body = given(
            kind=kind,
            payload=payload,
            priority=priority,
            run_at=moment("run_at", run_at),
            key=key,
            max_attempts=max_attempts,
            unique=unique,
            on_conflict=on_conflict,
            delay=delay,
            start_by=moment("start_by", start_by),
            run_within=run_within,
            heartbeat_within=heartbeat_within,
            backoff=backoff,
            group=group,
        )
        return json_object(self.call("POST", "jobs", body, repeatable=_is_repeatable(body)))

    def enqueue_bulk(self, jobs: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """Put many jobs, each of the form of `POST /jobs`, in the queue. Returns the sums of what the server answers.

        They go in batches of up to 10 000, each batch entirely or not at all.
        """
        total: dict[str, Any] = dict.fromkeys(COUNTS, 0) | {name: [] for name in LISTS}
        for batch in batches(jobs, BULK_LIMIT):
            repeatable = all(map(_is_repeatable, batch))
            reply = json_object(self.call("POST", "jobs/bulk", {"jobs": batch}, repeatable=repeatable, timeout=60))
            for name in COUNTS:
                total[name] += reply.get(name, 0)
            for name in LISTS:
                total[name] += reply.get(name, [])
        return total

    def job(self, job_id: JobId) -> dict[str, Any]:
        """One job, with everything the server knows of it."""
        return json_object(self.call("GET", f"jobs/{job_id}"))

    def jobs(self, **filters: str | int) -> dict[str, Any]:
        """One page of jobs. Filters: `status`, `kind`, `key` with its `kind`, `group`, `bot`; `cursor` pages."""
        return json_object(self.call("GET", "jobs", params=filters))

    def events(self, job_id: JobId) -> Any:
        """The history of one job, as the server gives it."""
        return self.call("GET", f"jobs/{job_id}/events")


def _is_repeatable(job: Mapping[str, Any]) -> bool:
    """Whether a second call finds the job of the first. One that lets its key go may be at work or done by then."""
    return job.get("key") is not None and job.get("unique") in (None, "always")
