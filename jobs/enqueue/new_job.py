"""Validate new jobs as producers send them: the rules for each field."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

from django.conf import settings
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
)
from pydantic_core import PydanticCustomError

from bots.models import NAME_LENGTH
from jobs.bounds import GROUP_LENGTH, KEY_LENGTH, MAX_ATTEMPTS_LIMIT, PRIORITY_LIMIT
from jobsite.lib.clock import YEARS, is_usable
from jobsite.lib.names import KIND_PATTERN
from jobsite.lib.strict_json import first_fault, is_small_and_plain, unkeepable

_DATE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")
#: An offset of hours alone, as in ISO 8601 and in PostgreSQL's output. Pydantic wants the minutes.
_SHORT_OFFSET = re.compile(r":\d\d(?:[.,]\d+)?[+-]\d\d\Z")


def _json_payload(value: Any) -> Any:
    if is_small_and_plain(value, settings.MAX_PAYLOAD_BYTES):
        return value
    fault = first_fault(value, settings.MAX_PAYLOAD_BYTES)
    if fault is not None:
        at = f"at {fault.place}: " if fault.place else ""
        raise PydanticCustomError("json", "{fault}", {"fault": at + fault.message})
    return value


def _iso_time(value: Any) -> Any:
    # Pydantic would read numbers, and text that is a number, as seconds since 1970.
    if value is not None and not (isinstance(value, datetime) or (isinstance(value, str) and _DATE.match(value))):
        raise PydanticCustomError("iso", "Use an ISO 8601 time with its offset, such as 2026-11-05T09:00:00Z")
    return f"{value}:00" if isinstance(value, str) and _SHORT_OFFSET.search(value) else value


def _within_years(moment: datetime) -> datetime:
    if not is_usable(moment):
        raise PydanticCustomError("year", "Use a time between the years {0} and {1}", {"0": YEARS[0], "1": YEARS[1]})
    return moment.astimezone(UTC)


def _no_nul(text: str) -> str:
    if message := unkeepable(text):
        raise PydanticCustomError("nul", "{fault}", {"fault": message})
    return text


# In Rust `$` is the end of the text, which Python writes `\Z`.
Kind = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH, pattern=KIND_PATTERN.replace(r"\Z", "$"))]
Payload = Annotated[Any, AfterValidator(_json_payload)]
Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_iso_time), AfterValidator(_within_years)]
Key = Annotated[str, Field(min_length=1, max_length=KEY_LENGTH), AfterValidator(_no_nul)]

Group = Annotated[str, Field(min_length=1, max_length=GROUP_LENGTH), AfterValidator(_no_nul)]


class NewJob(NamedTuple):
    """A job to create. `max_attempts` None: the kind's; `run_at` None: now; `key` None or empty: no key; `group` empty:
    none.

    A job of a schedule has its name and the moment it is for. COPY leaves them out.
    """

    kind: str
    payload: Any
    priority: int = 0
    run_at: datetime | None = None
    key: str | None = None
    max_attempts: int | None = None
    schedule: str = ""
    scheduled_for: datetime | None = None
    group: str = ""


class JobIn(BaseModel):
    """A job as producers send it. Unknown fields and wrong types are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Kind = Field(examples=["sum"])
    payload: Payload = Field(default_factory=dict, description="Any JSON.", examples=[{"numbers": [1, 2]}])
    priority: int = Field(0, ge=-PRIORITY_LIMIT, le=PRIORITY_LIMIT, description="Higher goes first.")
    run_at: Moment | None = Field(None, description="Not before this moment. Without it: now.")
    key: Key | None = Field(None, description="The same key of the same kind is the same job.")
    max_attempts: int | None = Field(None, ge=1, le=MAX_ATTEMPTS_LIMIT, description="Without it: the kind's.")

    group: Group | None = Field(None, description="What limits per group count by: a customer or a host, for example.")

    def to_new(self) -> NewJob:
        """The same as `enqueue` takes it."""
        return NewJob(
            self.kind, self.payload, self.priority, self.run_at, self.key, self.max_attempts, group=self.group or ""
        )
