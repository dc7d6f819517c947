"""Payloads are read as the type that a handler names, and what does not fit is named by its field."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, NewType, NotRequired, TypedDict
from uuid import UUID

import pydantic
import pytest

from jobsite_client import GiveUp, PayloadError
from jobsite_client.payloads import read_payload, reader

Path = NewType("Path", str)
UID = "6f1c3a52-8f0e-4a68-9a3e-0f3a1f2b9c11"


class Shape(enum.Enum):
    ROUND = "round"
    SQUARE = "square"


@dataclass
class Size:
    width: int
    height: int = 480


@dataclass
class Picture:
    image: str
    sizes: list[Size]
    at: datetime | None = None
    shape: Shape = Shape.ROUND
    tags: set[str] = field(default_factory=set)


@dataclass
class Tree:
    name: str
    inside: "list[Tree]" = field(default_factory=list)


@dataclass
class Even:
    number: int

    def __post_init__(self) -> None:
        if self.number % 2:
            raise ValueError("number must be even")


class Mail(TypedDict):
    to: str
    copies: NotRequired[list[str]]


class Order(pydantic.BaseModel):
    model_config = {"strict": True}
    number: int = pydantic.Field(gt=0)
    at: datetime
    lines: list[Decimal] = []


def read(kind: Any, payload: Any) -> Any:
    return read_payload(reader(kind), payload)


def fault(kind: Any, payload: Any) -> str:
    with pytest.raises(PayloadError) as caught:
        read(kind, payload)
    assert isinstance(caught.value, GiveUp)
    return str(caught.value).removeprefix("The payload does not fit. ")


@pytest.mark.parametrize(
    ("kind", "payload", "value"),
    [
        (Any, {"a": 1}, {"a": 1}),
        (object, None, None),
        (dict, {"a": 1}, {"a": 1}),
        (list, [1, "a"], [1, "a"]),
        (str, "a", "a"),
        (int, 3, 3),
        (float, 3, 3.0),
        (bool, True, True),
        (None, None, None),
        (int | None, None, None),
        (int | str, "a", "a"),
        (Literal["a", 1], 1, 1),
        (Path, "a.png", "a.png"),
        (Annotated[int, "pixels"], 3, 3),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (Mapping[str, date], {"a": "2026-11-27"}, {"a": date(2026, 11, 27)}),
        (tuple[int, str], [1, "a"], (1, "a")),
        (tuple[int, ...], [1, 2], (1, 2)),
        (Sequence[int], [1, 2], [1, 2]),
        (frozenset[int], [1, 1], frozenset({1})),
        (Decimal, "0.10", Decimal("0.10")),
        (Decimal, 0.1, Decimal("0.1")),
        (UUID, UID, UUID(UID)),
        (datetime, "2026-11-27T08:00:00Z", datetime(2026, 11, 27, 8, tzinfo=UTC)),
        (time, "08:00", time(8)),
        (timedelta, 90, timedelta(seconds=90)),
        (bytes, "aGk=", b"hi"),
        (Shape, "square", Shape.SQUARE),
        (Size, {"width": 3}, Size(3)),
        (Size, {"width": 3, "height": 4, "depth": 5}, Size(3, 4)),
        (Picture, {"image": "a", "sizes": [{"width": 1}], "tags": ["x"]}, Picture("a", [Size(1)], tags={"x"})),
        (Tree, {"name": "a", "inside": [{"name": "b"}]}, Tree("a", [Tree("b")])),
        (Even, {"number": 2}, Even(2)),
        (Mail, {"to": "a", "more": 1}, {"to": "a", "more": 1}),
        (Mail, {"to": "a", "copies": ["b"]}, {"to": "a", "copies": ["b"]}),
    ],
    ids=str,
)
def test_what_fits_is_read(kind: Any, payload: Any, value: Any) -> None:
    got = read(kind, payload)
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize(
    ("kind", "payload", "says"),
    [
        (str, 3, "It must be text, not a number."),
        (int, True, "It must be a whole number, not true."),
        (int, 3.5, "It must be a whole number, not a number with decimals."),
        (float, 10**400, "It is too large a number."),
        (bool, 1, "It must be true or false, not a number."),
        (list[int], {"a": 1}, "It must be a list, not an object."),
        (list[int], [1, "a"], "[1] must be a whole number, not text."),
        (dict[str, int], {"a": "b"}, "a must be a whole number, not text."),
        (dict[str, int], [], "It must be an object, not a list."),
        (tuple[int, str], [1], "It must be a list of 2 values."),
        (Literal["a", "b"], "c", "It must be one of 'a', 'b'."),
        (Literal[1], True, "It must be one of 1."),
        (Shape, "oval", "It must be one of 'round', 'square'."),
        (int | None, "a", "It must be a whole number, not text."),
        (Size | None, {"width": "3"}, "width must be a whole number, not text."),
        (int | bool, "a", "It fits none of its types: It must be a whole number, not text. It must be true or false, "),
        (datetime, "tomorrow", "It must be a moment, such as 2026-11-27T08:00:00Z."),
        (UUID, "x", "It must be a UUID."),
        (Decimal, "x", "It must be a decimal number."),
        (bytes, "%", "It must be base64."),
        (Size, None, "It must be an object, not null."),
        (Size, {}, "width is missing."),
        (
            Size,
            {"width": "3", "height": None},
            "width must be a whole number, not text. height must be a whole number, ",
        ),
        (Picture, {"image": "a", "sizes": [{}, {"width": []}]}, "sizes[0].width is missing. sizes[1].width must be a"),
        (Tree, {"name": "a", "inside": [{"name": 1}]}, "inside[0].name must be text, not a number."),
        (Even, {"number": 3}, "It: number must be even."),
        (list[Even], [{"number": 3}], "[0]: number must be even."),
        (Mail, {"copies": []}, "to is missing."),
        (Mail, {"to": "a", "copies": [1]}, "copies[0] must be text, not a number."),
    ],
    ids=str,
)
def test_what_does_not_fit_is_named(kind: Any, payload: Any, says: str) -> None:
    assert fault(kind, payload).startswith(says)


@pytest.mark.parametrize("kind", [complex, list[complex], type, "text"])
def test_a_type_that_no_payload_has_is_refused(kind: Any) -> None:
    with pytest.raises(TypeError, match="A payload cannot be read as"):
        reader(kind)


def test_a_class_with_such_a_field_is_refused_each_time() -> None:
    @dataclass
    class Signal:
        wave: complex

    for _ in range(2):
        with pytest.raises(TypeError, match="complex"):
            reader(Signal)


# --- Where pydantic is installed --------------------------------------------------------------------------------------


def test_a_model_of_pydantic_is_read_by_its_own_rules() -> None:
    order = read(Order, {"number": 1, "at": "2026-11-27T08:00:00Z", "lines": ["0.10"]})
    assert order == Order(number=1, at=datetime(2026, 11, 27, 8, tzinfo=UTC), lines=[Decimal("0.10")])


def test_what_does_not_fit_a_model_is_named() -> None:
    says = fault(Order, {"number": 0, "lines": ["x"]})
    assert says.startswith("number: Input should be greater than 0. at: Field required. lines.0: ")


def test_a_model_may_be_inside_another_type() -> None:
    assert fault(list[Order], [{"number": "1", "at": "2026-11-27T08:00:00Z"}]).startswith("[0].number")
