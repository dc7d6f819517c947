"""The answers about audit.

Made from the OpenAPI document by `python -m tests.contract.surface`: do not change it by hand.
"""

from datetime import datetime
from typing import Any, Literal, TypedDict

Via = Literal["console", "api", "command"]
Act = Literal[
    "create",
    "change",
    "delete",
    "register",
    "rotate",
    "revoke",
    "expect",
    "do_not_expect",
    "pause",
    "resume",
    "clear_quarantine",
    "restart",
    "enqueue",
    "release",
    "retry",
    "cancel",
    "prioritise",
    "accept",
    "acknowledge",
    "test",
    "retire",
    "send",
    "run",
    "skip",
    "resolve",
    "ignore",
    "reopen",
    "edit",
    "take_back",
]


class AuditEntryOut(TypedDict):
    """One act. `by` is empty for a command; `object_id` for an act on several jobs, which `after` lists. `act`: the
    number that entries of the same act share, where it was done in several steps.
    """

    id: int
    at: datetime
    by: str
    via: Via
    key: str
    verb: Act
    object: str
    object_id: str
    object_name: str
    before: dict[str, Any]
    after: dict[str, Any]
    reason: str
    request_id: str
    act: int | None


class AuditOut(TypedDict):
    audit: list[AuditEntryOut]
    next_cursor: str | None


class TakenBackOut(TypedDict):
    """`ids`: jobs that are as before. `left`: how many others this part of the act was about."""

    ids: list[int]
    left: int
    next_cursor: str | None
