"""Notify all web processes of new jobs, and of bots whose waiting claims are to ask again.

Nothing that is committed depends on it: where a notification is lost, each process looks by itself within a second.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from functools import partial

from django.db import DatabaseError, connection, transaction
from psycopg.errors import ProgramLimitExceeded

from jobsite.lib import outcomes
from jobsite.lib.db import fetch

logger = logging.getLogger(__name__)

#: Of new jobs: how many of each kind.
PENDING = "jobsite_pending"
#: Of bots whose waiting claims are to ask again, because an instance ended or is to restart.
RECALLS = "jobsite_recalls"
LISTEN = f"LISTEN {PENDING}; LISTEN {RECALLS}"
#: NOTIFY carries less than 8 000 bytes. When the kinds do not fit, the notification is for `ANY_KIND`.
MAX_PAYLOAD_BYTES = 7000
#: How many bots one notification names.
MAX_RECALLED = 300
#: Stands for every kind in a notification.
ANY_KIND = ""


def announce(pending: Mapping[str, int]) -> None:
    """Notify all processes, once the transaction has committed, of how many jobs of each kind are newly due.

    Raises nothing: the jobs are there, and who waits looks for them within a second.
    """
    counts = {kind: n for kind, n in pending.items() if n > 0}
    if not counts:
        return
    text = json.dumps(counts, separators=(",", ":"))
    if len(text.encode()) > MAX_PAYLOAD_BYTES:
        text = json.dumps({ANY_KIND: sum(counts.values())})
    _send_after_commit(PENDING, text)


def recall(bots: Sequence[int]) -> None:
    """Let the waiting claims of these bots ask again, in all processes, once the transaction has committed.

    Raises nothing. Where it is lost, they are answered when their time is over.
    """
    for first in range(0, len(bots), MAX_RECALLED):
        _send_after_commit(RECALLS, json.dumps(bots[first : first + MAX_RECALLED]))


def _send_after_commit(channel: str, text: str) -> None:
    if connection.in_atomic_block:
        transaction.on_commit(partial(_send, channel, text), robust=True)
    else:
        _send(channel, text)


def _send(channel: str, text: str) -> None:
    try:
        try:
            fetch("SELECT pg_notify($1, $2)", [channel, text])
        except DatabaseError as error:
            if not isinstance(error.__cause__, ProgramLimitExceeded):
                raise
            # The queue is full. PostgreSQL removes what everybody has read when it is asked for its use, and not at a
            # notification that finds no room.
            fetch("SELECT pg_notification_queue_usage()", [])
            fetch("SELECT pg_notify($1, $2)", [channel, text])
    except outcomes.ERRORS as error:
        # Somebody listens and never reads, or the connection was lost.
        logger.warning("%s was not notified, and waiting claims look within a second: %s", channel, error)
