"""What every refusal is: a problem as RFC 9457 has it."""

from pydantic import BaseModel


class Problem(BaseModel):
    """RFC 9457, with `code` for programs; some problems bring further members."""

    type: str
    title: str
    status: int
    detail: str
    code: str
