"""Fields that several inputs have, and their limits."""

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from bots.models import NAME_LENGTH
from jobsite.lib.names import KIND_PATTERN, fault, header_fault
from jobsite.lib.params import MAX_ID

#: The most jobs one bulk call takes.
MAX_BULK = 10_000
#: How long the text of an error may be.
ERROR_LENGTH = 65_536
#: The most kinds one call may name.
MAX_KINDS = 200

#: The longest name of a bot's instance.
INSTANCE_LENGTH = 100


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
Instance = Annotated[str, Field(min_length=1, max_length=INSTANCE_LENGTH), AfterValidator(_instance)]
Kind = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH, pattern=KIND_PATTERN.replace(r"\Z", "$"))]
Attempt = Annotated[int, Field(ge=1, le=2**31 - 1, description="The attempt, as the claim gave it.")]
JobId = Annotated[int, Field(ge=1, le=MAX_ID)]
#: `[job, attempt]`. Only the pair may be of another type, a list: JSON has no tuples.
Lease = Annotated[tuple[JobId, Attempt], Field(strict=False)]
