"""Validate new jobs as producers send them: the rules for each field."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple

from django.conf import settings
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from bots.models import NAME_LENGTH
from jobs.bounds import (
    GROUP_LENGTH,
    KEY_LENGTH,
    MAX_ATTEMPTS_LIMIT,
    MAX_BACKOFF,
    MAX_DELAY,
    MAX_DURATION,
    PRIORITY_LIMIT,
    SHORTEST,
)
from jobs.states import OnConflict, Unique
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

    A job of a schedule has its name and the moment it is for. COPY leaves them out. Durations are in seconds.
    """

    kind: str
    payload: Any
    priority: int = 0
    run_at: datetime | None = None
    key: str | None = None
    max_attempts: int | None = None
    schedule: str = ""
    scheduled_for: datetime | None = None
    unique: str = Unique.ALWAYS.value
    on_conflict: str = OnConflict.KEEP.value
    delay: float | None = None
    start_by: datetime | None = None
    run_within: float | None = None
    heartbeat_within: float | None = None
    backoff: float | None = None
    group: str = ""

    @property
    def is_later(self) -> bool:
        """Whether it may be due later than now."""
        return self.run_at is not None or self.delay is not None

    @property
    def options(self) -> dict[str, Any]:
        """The fields that few jobs have, where this job has one."""
        given = zip(OPTIONS, self[_FIRST_OPTION:], strict=True)
        return {name: value for name, value in given if value != _DEFAULT[name]}

    @property
    def is_special(self) -> bool:
        """Whether it has a key or options: such a job may concern others, and is inserted with more care."""
        return bool(self.key) or self[_FIRST_OPTION:] != _NO_OPTIONS


_FIRST_OPTION = NewJob._fields.index("unique")
#: The fields that few jobs have.
OPTIONS = NewJob._fields[_FIRST_OPTION:]
#: Those of them that are numbers of seconds.
DURATIONS = ("delay", "run_within", "heartbeat_within", "backoff")
_DEFAULT = NewJob._field_defaults
_NO_OPTIONS = tuple(_DEFAULT[name] for name in OPTIONS)
_GIVEN = frozenset(OPTIONS)


def _duration(most: timedelta, least: float = 0, *, description: str) -> Any:
    return Field(None, ge=least, le=most.total_seconds(), allow_inf_nan=False, description=description)


class JobIn(BaseModel):
    """A job as producers send it. Unknown fields and wrong types are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Kind = Field(examples=["sum"])
    payload: Payload = Field(default_factory=dict, description="Any JSON.", examples=[{"numbers": [1, 2]}])
    priority: int = Field(0, ge=-PRIORITY_LIMIT, le=PRIORITY_LIMIT, description="Higher goes first.")
    run_at: Moment | None = Field(None, description="Not before this moment. Without it: now.")
    key: Key | None = Field(None, description="The same key of the same kind is the same job.")
    max_attempts: int | None = Field(None, ge=1, le=MAX_ATTEMPTS_LIMIT, description="Without it: the kind's.")
    unique: Literal["always", "unfinished", "pending"] = Field(
        "always",
        description="How long the job keeps its key: until it is deleted, has ended, or is claimed for the first time.",
    )
    on_conflict: Literal["keep", "replace"] = Field(
        "keep",
        description="What to do with a job that has the key: keep it as it is, or give it what is sent now. `replace` "
        "is for `unique: pending`.",
    )

    delay: float | None = _duration(MAX_DELAY, description="Seconds from now, in place of `run_at`.")
    start_by: Moment | None = Field(
        None, description="It is not handed out from this moment on, and is cancelled a second later. After `run_at`."
    )
    run_within: float | None = _duration(MAX_DURATION, SHORTEST, description="Seconds it may run, before its kind's.")
    heartbeat_within: float | None = _duration(
        MAX_DURATION, SHORTEST, description="Seconds its bot may be silent, before its kind's."
    )
    backoff: float | None = _duration(MAX_BACKOFF, description="Seconds before its second attempt, before its kind's.")

    @field_validator("delay")
    @classmethod
    def _one_moment(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and info.data.get("run_at") is not None:
            raise PydanticCustomError("two", "Give `delay` or `run_at`, and not both")
        return value

    @field_validator("start_by")
    @classmethod
    def _not_too_early(cls, value: datetime | None, info: ValidationInfo) -> datetime | None:
        run_at = info.data.get("run_at")
        if value is not None and run_at is not None and value <= run_at:
            raise PydanticCustomError("never", "It must be after `run_at`, or the job could never begin")
        return value

    @field_validator("unique", "on_conflict")
    @classmethod
    def _has_key(cls, value: str, info: ValidationInfo) -> str:
        # Called only where the field was given: other jobs pay nothing.
        if "key" in info.data and info.data["key"] is None:
            raise PydanticCustomError("no_key", "This is about the job's `key`, and there is none")
        if value == OnConflict.REPLACE and info.data.get("unique") not in (Unique.PENDING, None):
            raise PydanticCustomError("not_pending", "`replace` needs `unique: pending`: others may have begun")
        return value

    group: Group | None = Field(None, description="What limits per group count by: a customer or a host, for example.")

    def to_new(self) -> NewJob:
        """The same as `enqueue` takes it."""
        new = NewJob(self.kind, self.payload, self.priority, self.run_at, self.key, self.max_attempts)
        if self.__pydantic_fields_set__.isdisjoint(_GIVEN):
            return new
        given = {name: getattr(self, name) for name in self.model_fields_set & _GIVEN}
        return new._replace(**{name: value for name, value in given.items() if value is not None})
