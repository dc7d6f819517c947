"""What every refusal is: a problem as RFC 9457 has it."""

from pydantic import BaseModel


class FieldError(BaseModel):
    """What is wrong with one field, parameter or header."""

    field: str
    message: str


class Problem(BaseModel):
    """RFC 9457, with `code` for programs; some problems bring further members.

    Each of status 400 and 422 has `errors`.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldError] = []
