"""Fields that several inputs have, and their limits."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from bots.instances import INSTANCE_LENGTH
from jobs.bounds import MAX_DELAY
from jobsite.lib.names import fault, header_fault
from jobsite.lib.params import MAX_ID, Input

#: The most jobs one bulk call takes.
MAX_BULK = 10_000
#: How long the text of an error may be.
ERROR_LENGTH = 65_536
#: The most slots of a process.
MAX_SLOTS = 10_000
#: The most kinds one call may name.
MAX_KINDS = 200


def _instance(text: str) -> str:
    # The header `Bot-Instance` carries it with every later call.
    if message := header_fault(text):
        raise PydanticCustomError("instance", "{fault}", {"fault": message})
    return text


def _name(text: str) -> str:
    if message := fault(text):
        raise PydanticCustomError("name", "{fault}", {"fault": message})
    return text


Version = Annotated[str, Field(max_length=100), AfterValidator(_name)]
Identity = Annotated[str, Field(max_length=INSTANCE_LENGTH), AfterValidator(_instance)]
Instance = Annotated[str, Field(min_length=1, max_length=INSTANCE_LENGTH), AfterValidator(_instance)]
Attempt = Annotated[int, Field(ge=1, le=2**31 - 1, description="The attempt, as the claim gave it.")]
#: Seconds until something is due.
Delay = Annotated[float, Field(ge=0, le=MAX_DELAY.total_seconds(), allow_inf_nan=False)]
JobId = Annotated[int, Field(ge=1, le=MAX_ID)]


#: `[job, attempt]`. Only the pair may be of another type, a list: JSON has no tuples.
Lease = Annotated[tuple[JobId, Attempt], Field(strict=False)]


class SlotsIn(Input):
    """Room for jobs in a process. A slot is lost when its handler was asked to stop and does not end."""

    all: int = Field(ge=0, le=MAX_SLOTS)
    free: int = Field(ge=0, le=MAX_SLOTS)
    lost: int = Field(ge=0, le=MAX_SLOTS)

    @model_validator(mode="after")
    def _no_more_than_all(self) -> Self:
        if self.free + self.lost > self.all:
            raise ValueError("`free` and `lost` together are at most `all`")
        return self

    @property
    def kept(self) -> tuple[int, int]:
        """What the server keeps: all, and those that are lost. The free ones change with each job."""
        return self.all, self.lost
