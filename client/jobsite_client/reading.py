"""Read answers as their types say: moments become `datetime`, all else stays as it came. Pure."""

from collections.abc import Callable
from datetime import datetime
from types import UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints, is_typeddict

from .errors import parse_time
from .messages import json_object

T = TypeVar("T")
Change = Callable[[Any], Any]

_changes: dict[Any, Change | None] = {}


def reader(answer: type[T]) -> Callable[[Any], T]:
    """What reads a decoded answer of this TypedDict. Fields that it does not know stay; missing ones are not there."""
    change = _change(answer) or (lambda value: value)
    return lambda body: cast("T", change(json_object(body)))


def _change(hint: Any) -> Change | None:
    """What is to do to a value of this type; None: nothing."""
    if hint is datetime:
        return _moment
    if get_origin(hint) in (Union, UnionType):
        changes = [change for change in map(_change, get_args(hint)) if change]
        return changes[0] if changes else None
    if get_origin(hint) is list and (each := _change(get_args(hint)[0])):
        return _all(each)
    if is_typeddict(hint):
        if hint not in _changes:
            fields = {name: _change(kind) for name, kind in get_type_hints(hint).items()}
            _changes[hint] = _fields({name: change for name, change in fields.items() if change})
        return _changes[hint]
    return None


def _moment(value: Any) -> Any:
    return parse_time(value) or value


def _all(change: Change) -> Change:
    return lambda values: [change(value) for value in values] if isinstance(values, list) else values


def _fields(changes: dict[str, Change]) -> Change | None:
    def change(value: Any) -> Any:
        if isinstance(value, dict):
            for name, one in changes.items():
                if name in value:
                    value[name] = one(value[name])
        return value

    return change if changes else None
