"""Notify all web processes of new jobs, and of bots whose waiting claims are to ask again."""

import json
from collections.abc import Mapping, Sequence
from functools import partial

from django.db import connection, transaction

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
    """Notify all processes, once the transaction has committed, of how many jobs of each kind are newly due."""
    counts = {kind: n for kind, n in pending.items() if n > 0}
    if not counts:
        return
    text = json.dumps(counts, separators=(",", ":"))
    if len(text.encode()) > MAX_PAYLOAD_BYTES:
        text = json.dumps({ANY_KIND: sum(counts.values())})
    transaction.on_commit(partial(_send, PENDING, text), robust=True)


def recall(bots: Sequence[int]) -> None:
    """Let the waiting claims of these bots ask again, in all processes, once the transaction has committed."""
    for first in range(0, len(bots), MAX_RECALLED):
        text = json.dumps(bots[first : first + MAX_RECALLED])
        transaction.on_commit(partial(_send, RECALLS, text), robust=True)


def _send(channel: str, text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [channel, text])
