"""What every refusal is: a problem as RFC 9457 has it. One model for each error, made from its class."""

from typing import Any, Literal, NotRequired, get_args, get_origin

from pydantic import BaseModel, Field, create_model

from jobsite.lib.errors import Faulty, JobsiteError
from jobsite.lib.problems import ALSO, type_of

#: What `paused` and `restart` are.
ORDERS = "In answers to bots: what operators want of the instance."


class FieldError(BaseModel):
    """What is wrong with one field, parameter or header."""

    field: str
    message: str
    line: int = Field(default_factory=int, description="Of NDJSON and CSV: the number of the line, from 1.")


class Problem(BaseModel):
    """An error as RFC 9457 has it, with `code` for programs."""

    type: str = Field(description="Where this error is explained, relative to the server.")
    title: str = Field(description="What the error is, for people. It may be reworded.")
    status: int
    detail: str = Field(description="What was wrong with this call, for people. It may be reworded.")
    code: str = Field(description="What programs go by. It does not change.")


def problem_of(error: type[JobsiteError]) -> type[BaseModel]:
    """The model of the problems of this error."""
    fields: dict[str, Any] = {
        "type": (Literal[type_of(error)], ...),
        "status": (Literal[error.status], ...),
        "code": (Literal[error.code], ...),
    }
    if issubclass(error, Faulty):
        fields["errors"] = (list[FieldError], Field(min_length=1))
    for name, kind in error.members.items():
        if get_origin(kind) is NotRequired:
            (kind,) = get_args(kind)
            fields[name] = (kind, Field(default_factory=kind))
        else:
            fields[name] = (kind, ...)
    if error.status in ALSO:
        for name in ("paused", "restart"):
            fields[name] = (bool, Field(default_factory=bool, description=ORDERS, examples=[False]))
    return create_model(f"{error.__name__}Problem", __base__=Problem, __doc__=error.__doc__, **fields)
