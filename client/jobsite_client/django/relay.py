"""Send the jobs of the outbox to the server, each at least once, which is once: its key is the row's id."""

import logging
import threading
from collections.abc import Sequence
from typing import Any, cast

from django.db import DatabaseError, close_old_connections, connections, transaction

from ..answers import JobIn
from ..api import Client
from ..errors import JobsiteError, Unavailable
from .models import OutboxJob

log = logging.getLogger("jobsite_client")

# Jobs of one call, and of one transaction.
BATCH = 500
# Refusals because of a job. Any other is about the API key or the server, and is tried again.
BAD_JOB = (400, 413, 422)


def relay(client: Client, using: str = "default") -> int:
    """Send one batch, and delete what the server has. Returns how many rows were done.

    The rows are locked until then, so that several relays do not meet. One that is killed before it has deleted them
    leaves them, and they are sent again: the server knows their keys. Raises `Unavailable` and other `JobsiteError`.
    """
    # SQLite has one writer at a time anyway.
    skip = connections[using].features.has_select_for_update_skip_locked
    with transaction.atomic(using=using):
        waiting = OutboxJob.objects.using(using).waiting()
        rows = list(waiting.select_for_update(skip_locked=skip)[:BATCH])
        if rows:
            good = _sent(client, rows)
            OutboxJob.objects.using(using).filter(pk__in=[row.pk for row in good]).delete()
    return len(rows)


def _sent(client: Client, rows: Sequence[OutboxJob]) -> Sequence[OutboxJob]:
    """Send these, and return those that the server has. Of several that it refuses together, each is sent alone."""
    try:
        client.enqueue_bulk([cast("JobIn", _job(row)) for row in rows])
    except Unavailable:
        raise
    except JobsiteError as error:
        if error.status not in BAD_JOB:
            raise
        if len(rows) > 1:
            return [row for one in rows for row in _sent(client, [one])]
        (row,) = rows
        log.error("The server refused the job %s of the outbox: %s", row.pk, error.detail)
        row.refused = error.detail
        row.save(update_fields=["refused"])
        return []
    return rows


def _job(row: OutboxJob) -> dict[str, Any]:
    return {**row.job, "key": str(row.pk)}


def relay_until(stopped: threading.Event, client: Client, using: str, every: float) -> None:
    """Relay until `stopped`, and look for new rows after `every` seconds without any."""
    while not stopped.is_set():
        try:
            if relay(client, using):
                continue
        except Unavailable as error:
            log.warning("The outbox waits for the server. %s", error.detail)
        except JobsiteError as error:
            log.error("The server refuses the outbox: %s", error.detail)
        except DatabaseError as error:
            log.warning("The outbox waits for the database. %s", error)
            close_old_connections()
        stopped.wait(every)
