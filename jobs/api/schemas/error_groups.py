"""What operators send and get about error groups."""

from datetime import datetime

from pydantic import BaseModel, Field

from jobs.bounds import REASON_LENGTH
from jobs.error_groups.acts import MOST_RETRIED
from jobs.states import ErrorStatus
from jobsite.lib.params import Input


class ErrorGroupOut(BaseModel):
    """Failures of one kind whose errors are alike. Counted from closed minutes, so about two minutes late."""

    id: int
    kind: str
    words: str = Field(
        description="The error's last line, without numbers, ids, quotes and paths.",
        examples=["Timeout: no answer in # s"],
    )
    status: ErrorStatus
    count: int = Field(description="Attempts that failed so, in all.", examples=[79])
    trend: list[int] = Field(description="The same in each of the last 24 hours, the oldest first.", examples=[[0, 3]])
    bots: dict[str, int] = Field(description="The same by bot; the first fifty.", examples=[{"ada": 41}])
    versions: dict[str, int] = Field(description="The same by version of the bot.", examples=[{"4.2.1": 41}])
    first_at: datetime
    last_at: datetime
    last_job: int
    back_at: datetime | None = Field(description="When it failed again after it was resolved.")
    changed_at: datetime | None
    changed_by: str
    reason: str


class ErrorGroupsOut(BaseModel):
    error_groups: list[ErrorGroupOut]
    next_cursor: str | None


class RetryGroupIn(Input):
    reason: str = Field("", max_length=REASON_LENGTH)
    most: int = Field(100, ge=1, le=MOST_RETRIED, description="Retry at most so many, the newest first.")


class RetriedOut(BaseModel):
    """`retried`: jobs that are pending now. `key_taken`: jobs that stay failed since another has their key."""

    retried: int
    key_taken: int
    more: bool = Field(description="Whether the group has more failed jobs.")
