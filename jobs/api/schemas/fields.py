"""Fields that several inputs have, and their limits."""

from typing import Annotated

from pydantic import Field

from bots.models import NAME_LENGTH
from jobs.models import KIND_PATTERN
from jobsite.lib.params import MAX_ID

#: The most jobs one bulk call takes.
MAX_BULK = 10_000
#: How long the text of an error may be.
ERROR_LENGTH = 65_536
#: The most kinds one call may name.
MAX_KINDS = 200

Kind = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH, pattern=KIND_PATTERN.replace(r"\Z", "$"))]
Attempt = Annotated[int, Field(ge=1, le=2**31 - 1, description="The attempt, as the claim gave it.")]
JobId = Annotated[int, Field(ge=1, le=MAX_ID)]
#: `[job, attempt]`. Only the pair may be of another type, a list: JSON has no tuples.
Lease = Annotated[tuple[JobId, Attempt], Field(strict=False)]
