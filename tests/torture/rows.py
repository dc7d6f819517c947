"""What the database holds, by plain SQL: the jobs and their history, with names in place of ids."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import namedtuple_row
from psycopg.types.json import JsonbLoader

HELD = ("claimed", "processing")
#: An attempt's number is `epoch * EPOCH + n`, and n counts the leases of a job.
EPOCH = 1_000_000

_JOBS = """
    SELECT j.id, j.kind_id AS kind, j.payload, j.key, j.status, j.attempt, h.name AS holder, f.name AS finished_by,
           j.result, j.finished_at
    FROM jobs_job j LEFT JOIN bots_bot h ON h.id = j.claimed_by_id LEFT JOIN bots_bot f ON f.id = j.finished_by_id
    ORDER BY j.id
"""
_EVENTS = """
    SELECT e.id, e.job_id AS job, e.attempt, e.verb, e.from_status, e.to_status, b.name AS bot, e.actor, e.by, e.at
    FROM jobs_jobevent e LEFT JOIN bots_bot b ON b.id = e.bot_id
    ORDER BY e.id
"""
#: In one statement, and so at one moment. A bot that was not seen for long is down, whatever it holds.
_STATUSES = """
    SELECT b.name, b.status, count(j.id) AS holds
    FROM bots_bot b LEFT JOIN jobs_job j ON j.claimed_by_id = b.id AND j.status IN ('claimed', 'processing')
    WHERE b.status <> 'down'
    GROUP BY b.id HAVING (b.status = 'busy') <> (count(j.id) > 0)
"""


class Busy(NamedTuple):
    """A bot whose status is not what it holds."""

    name: str
    status: str
    holds: int


@dataclass
class Rows:
    """All jobs by id, and the events of each in their order."""

    jobs: dict[int, Any]
    events: dict[int, list[Any]]

    def history(self, job: int, **fields: Any) -> list[Any]:
        """The events of a job that have these values."""
        return [e for e in self.events[job] if all(getattr(e, name) == value for name, value in fields.items())]


def read(connection: "psycopg.Connection[Any]") -> Rows:
    """Read them all."""
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        # Django's connections, which tests have, leave JSON as text.
        cursor.adapters.register_loader("jsonb", JsonbLoader)
        found: list[Any] = cursor.execute(_JOBS).fetchall()
        jobs = {row.id: row for row in found}
        events = defaultdict(list)
        history: list[Any] = cursor.execute(_EVENTS).fetchall()
        for event in history:
            events[event.job].append(event)
    return Rows(jobs, events)


def not_as_busy(connection: "psycopg.Connection[Any]") -> list[Busy]:
    """Bots that are busy with nothing, or idle with something, at this moment."""
    return [Busy(*row) for row in connection.execute(_STATUSES).fetchall()]


def ends_a_lease(event: Any) -> bool:
    """Whether a lease ended with this event."""
    return event.verb in ("release", "expire", "fail", "cancel") and event.from_status in HELD
