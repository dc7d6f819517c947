"""Typed methods for the calls of producers, and for most of operators."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from .messages import JobId, given, json_object
from .transport import Transport

# The most jobs the server takes in one bulk call.
BULK_LIMIT = 10_000


class PeopleCalls(Transport):
    """The part of `Client` for producers and operators."""

    # --- Producers ------------------------------------------------------------------------------------------------

    def enqueue(
        self,
        kind: str,
        payload: Any = None,
        *,
        priority: int | None = None,
        run_at: datetime | None = None,
        key: str | None = None,
        max_attempts: int | None = None,
    ) -> dict[str, Any]:
        """Put a job in the queue and return it. With a `key`, enqueueing it again returns the job that is there.

        `run_at` needs a time zone. Without a `key` the call is not repeated once the server may have acted on it.
        """
        if run_at is not None and run_at.tzinfo is None:
            raise ValueError("run_at needs a time zone, for example datetime.now(UTC).")
        body = given(
            kind=kind,
            payload=payload,
            priority=priority,
            run_at=run_at.isoformat() if run_at else None,
            key=key,
            max_attempts=max_attempts,
        )
        return json_object(self.call("POST", "jobs", body, repeatable=key is not None))

    def enqueue_bulk(self, jobs: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """Put many jobs, each of the form of `POST /jobs`, in the queue: `{created, existing, ids}`.

        They go in batches of up to 10 000, each batch entirely or not at all.
        """
        total: dict[str, Any] = {"created": 0, "existing": 0, "ids": []}
        for batch in _batches(jobs, BULK_LIMIT):
            repeatable = all(job.get("key") is not None for job in batch)
            reply = json_object(self.call("POST", "jobs/bulk", {"jobs": batch}, repeatable=repeatable, timeout=60))
            total["created"] += reply.get("created", 0)
            total["existing"] += reply.get("existing", 0)
            total["ids"] += reply.get("ids", [])
        return total

    def job(self, job_id: JobId) -> dict[str, Any]:
        """One job, with everything the server knows of it."""
        return json_object(self.call("GET", f"jobs/{job_id}"))

    def jobs(self, **filters: str | int) -> dict[str, Any]:
        """One page of jobs, as the server gives it. Filters: `status`, `kind`, `bot`, and `cursor` for later pages."""
        return json_object(self.call("GET", "jobs", params=filters))

    def events(self, job_id: JobId) -> Any:
        """The history of one job, as the server gives it."""
        return self.call("GET", f"jobs/{job_id}/events")

    # --- Operators ------------------------------------------------------------------------------------------------
    # Not idempotent (a second release is refused), so not retried.

    def release_job(self, job_id: JobId, reason: str | None = None) -> dict[str, Any]:
        """Release a held job, whichever bot holds it."""
        return self._order(f"jobs/{job_id}/release", reason=reason)

    def cancel_job(self, job_id: JobId, reason: str | None = None) -> dict[str, Any]:
        """Cancel a job."""
        return self._order(f"jobs/{job_id}/cancel", reason=reason)

    def retry_job(self, job_id: JobId, reason: str | None = None) -> dict[str, Any]:
        """Return a failed or cancelled job to pending."""
        return self._order(f"jobs/{job_id}/retry", reason=reason)

    def register_bot(
        self, name: str, *, kinds: Sequence[str] | None = None, capacity: int | None = None
    ) -> dict[str, Any]:
        """Register a bot. The answer has its token, which is shown only once."""
        return self._order("bots", name=name, kinds=None if kinds is None else list(kinds), capacity=capacity)

    def bots(self, **filters: str | int) -> dict[str, Any]:
        """One page of bots, as the server gives it."""
        return json_object(self.call("GET", "bots", params=filters))

    def bot(self, bot_id: JobId, *, wait_idle: bool = False) -> dict[str, Any]:
        """One bot. With `wait_idle` the server answers when it holds no job, or after 30 s."""
        if not wait_idle:
            return json_object(self.call("GET", f"bots/{bot_id}"))
        return json_object(self.call("GET", f"bots/{bot_id}", params={"wait": "idle"}, timeout=self._timeout + 30))

    def pause_bot(
        self,
        bot_id: JobId,
        *,
        reason: str | None = None,
        until: datetime | None = None,
        instance: str | None = None,
    ) -> dict[str, Any]:
        """Pause this bot, or one instance of it: it gets no new jobs. `until` needs a time zone."""
        moment = None if until is None else until.isoformat()
        return self._order(f"bots/{bot_id}/pause", reason=reason, until=moment, instance=instance)

    def resume_bot(self, bot_id: JobId, *, instance: str | None = None) -> dict[str, Any]:
        """Resume this bot, or one instance of it."""
        return self._order(f"bots/{bot_id}/resume", instance=instance)

    def restart_bot(self, bot_id: JobId, *, instance: str | None = None) -> dict[str, Any]:
        """Release the jobs of this bot, or of one instance, and ask it to restart."""
        return self._order(f"bots/{bot_id}/restart", instance=instance)

    def stuck(self) -> dict[str, Any]:
        """Everything that is stuck now: `{jobs, bots, summary}`."""
        return json_object(self.call("GET", "stuck"))

    def _order(self, path: str, **fields: Any) -> dict[str, Any]:
        return json_object(self.call("POST", path, given(**fields), repeatable=False))


def _batches(jobs: Iterable[Mapping[str, Any]], size: int) -> Iterator[list[Mapping[str, Any]]]:
    rest = iter(jobs)
    while batch := list(islice(rest, size)):
        yield batch
