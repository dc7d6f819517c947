"""The answers about errors.

Made from the OpenAPI document by `python -m tests.contract.surface`: do not change it by hand.
"""

from datetime import datetime
from typing import Any, Literal, TypedDict

ErrorStatus = Literal["open", "resolved", "ignored"]


class ErrorGroupOut(TypedDict):
    """Failures of one kind whose errors are alike. Counted from closed minutes, so about two minutes late."""

    id: int
    kind: str
    words: str
    status: ErrorStatus
    count: int
    trend: list[int]
    bots: dict[str, Any]
    versions: dict[str, Any]
    first_at: datetime
    last_at: datetime
    last_job: int
    back_at: datetime | None
    changed_at: datetime | None
    changed_by: str
    reason: str


class ErrorGroupsOut(TypedDict):
    error_groups: list[ErrorGroupOut]
    next_cursor: str | None


class RetriedOut(TypedDict):
    """`retried`: jobs that are pending now. `key_taken`: jobs that stay failed since another has their key."""

    retried: int
    key_taken: int
    more: bool
