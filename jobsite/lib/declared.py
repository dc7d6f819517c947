"""What a call of the API declares of itself for the OpenAPI document: the errors of its own."""

from collections.abc import Callable
from typing import Any, TypeVar

from jobsite.lib.errors import JobsiteError

View = TypeVar("View", bound=Callable[..., Any])


def refuses(*errors: type[JobsiteError]) -> Callable[[View], View]:
    """Declare the errors that this call answers with, beside those that any call of its form does."""

    def declare(view: View) -> View:
        view.refuses = errors  # type: ignore[attr-defined]
        return view

    return declare


def refused_by(view: Callable[..., Any]) -> tuple[type[JobsiteError], ...]:
    """Return the errors that a call has declared."""
    return getattr(view, "refuses", ())
