"""Log what people do: one line for each bot, key or kind, once the transaction has committed.

Lines about jobs are written by `jobs.lifecycle.audit`, in the same way.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import structlog
from django.db import transaction

from jobsite.lib.log_context import bound

log = structlog.stdlib.get_logger("jobsite.bots")


def record(verb: str, subjects: Iterable[Mapping[str, Any]], *, by: str, reason: str = "") -> None:
    """Log an act, one line for each of `subjects`: `pause of bot ada by olga`.

    The first field of each says what it is: `{"bot": "ada", "bot_id": 3}`. `by` is the user's name, and empty where a
    command acts. Never put a token into any of this, or a part of one.
    """
    lines = []
    for subject in subjects:
        what, name = next(iter(subject.items()))
        fields = {"verb": verb, **subject, "actor": "operator", "by": by, "reason": reason}
        lines.append((f"{verb} of {what} {name}{f' by {by}' if by else ''}", fields))
    write_on_commit(log, logging.INFO, lines)


def write_on_commit(
    log: structlog.stdlib.BoundLogger, level: int, lines: Sequence[tuple[str, Mapping[str, Any]]]
) -> None:
    """Write these lines (message, fields) once the transaction has committed, and none if it is rolled back."""
    if not lines:
        return
    # The context of now: the commit may come when the request or sweep is over.
    context = dict(bound())

    def write() -> None:
        for message, fields in lines:
            log.log(level, message, **{**context, **fields})

    transaction.on_commit(write, robust=True)
