"""Payloads as the type that a handler names: dataclass, TypedDict, pydantic model, or what these are made of. Pure."""

import base64
import binascii
import dataclasses
import enum
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal, NoReturn, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from .errors import PayloadError, parse_time
from .wire import encode

# Makes of a JSON value, and the name of the field it is in, what the type asks for.
Reader = Callable[[Any, str], Any]

# Of a TypedDict's fields; where Python itself does not take them off.
_WRAPPERS = {"Required", "NotRequired", "ReadOnly"}


class Misfit(ValueError):
    """What does not fit, a sentence for each field."""

    def __init__(self, *faults: str) -> None:
        super().__init__(*faults)
        self.faults = faults


def read_payload(reader: Reader, payload: Any) -> Any:
    """The payload as the type asks for it. Raises `PayloadError` that names each field that does not fit."""
    try:
        return reader(payload, "")
    except Misfit as error:
        raise PayloadError("The payload does not fit. " + " ".join(error.faults)) from None


def reader(annotation: Any) -> Reader:
    """What reads values of this type. Raises TypeError for a type that payloads cannot be read as."""
    if annotation is Any or annotation is object:
        return lambda value, at: value
    if hasattr(annotation, "__pydantic_validator__"):
        return _pydantic(annotation)
    if hasattr(annotation, "__dataclass_fields__") or hasattr(annotation, "__required_keys__"):
        return _record(annotation)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return _choice(annotation)
    plain = _SCALARS.get(annotation)
    if plain:
        return plain
    if hasattr(annotation, "__supertype__"):
        return reader(annotation.__supertype__)
    return _generic(annotation)


def _generic(annotation: Any) -> Reader:
    origin, inside = get_origin(annotation) or annotation, get_args(annotation)
    if origin is Annotated or getattr(origin, "_name", "") in _WRAPPERS:
        return reader(inside[0])
    if origin in (Union, types.UnionType):
        return _union(inside)
    if origin is Literal:
        return _literal(inside)
    if origin in (dict, Mapping):
        return _object_of(reader(inside[1]) if inside else reader(Any))
    if origin is tuple and inside and inside[-1] is not Ellipsis:
        return _tuple([reader(one) for one in inside])
    if origin in (list, Sequence, Iterable, tuple, set, frozenset):
        make = list if origin in (Sequence, Iterable) else origin
        return _list_of(reader(inside[0]) if inside else reader(Any), make)
    raise TypeError(f"A payload cannot be read as {annotation!r}.")


# --- What JSON has ----------------------------------------------------------------------------------------------------


def _sort(value: Any) -> str:
    """The value's type, in the words of JSON."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    names = {str: "text", int: "a number", float: "a number with decimals", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


def _wrong(at: str, wants: str, value: Any) -> NoReturn:
    raise Misfit(f"{at or 'It'} must be {wants}, not {_sort(value)}.")


def _exactly(wants: str, *kinds: type) -> Reader:
    def read(value: Any, at: str) -> Any:
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            _wrong(at, wants, value)
        return value

    return read


def _float(value: Any, at: str) -> float:
    try:
        return float(_exactly("a number", int, float)(value, at))
    except OverflowError:
        raise Misfit(f"{at or 'It'} is too large a number.") from None


def _from_text(wants: str, make: Callable[[str], Any]) -> Reader:
    def read(value: Any, at: str) -> Any:
        if not isinstance(value, str):
            _wrong(at, wants, value)
        try:
            made = make(value)
        except (ValueError, InvalidOperation, binascii.Error):
            made = None
        if made is None:
            raise Misfit(f"{at or 'It'} must be {wants}.")
        return made

    return read


def _decimal(value: Any, at: str) -> Decimal:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Decimal(str(value))
    made: Decimal = _from_text("a decimal number", Decimal)(value, at)
    return made


_SCALARS: dict[Any, Reader] = {
    str: _exactly("text", str),
    bool: _exactly("true or false", bool),
    int: _exactly("a whole number", int),
    float: _float,
    None: _exactly("null", type(None)),
    type(None): _exactly("null", type(None)),
    Decimal: _decimal,
    datetime: _from_text("a moment, such as 2026-11-27T08:00:00Z", parse_time),
    date: _from_text("a date, such as 2026-11-27", date.fromisoformat),
    time: _from_text("a time of day, such as 08:00", time.fromisoformat),
    timedelta: lambda value, at: timedelta(seconds=_float(value, at)),
    UUID: _from_text("a UUID", UUID),
    bytes: _from_text("base64", lambda text: base64.b64decode(text, validate=True)),
}


# --- What is made of others -------------------------------------------------------------------------------------------


def _all(pairs: Iterable[tuple[Reader, Any, str]]) -> Iterator[Any]:
    """Read each value. Raises the faults of all of them together."""
    faults: list[str] = []
    for read, value, at in pairs:
        try:
            yield read(value, at)
        except Misfit as error:
            faults += error.faults
    if faults:
        raise Misfit(*faults)


def _list_of(read: Reader, make: Callable[[Iterator[Any]], Any]) -> Reader:
    def read_list(value: Any, at: str) -> Any:
        if not isinstance(value, list):
            _wrong(at, "a list", value)
        return make(_all((read, one, f"{at}[{number}]") for number, one in enumerate(value)))

    return read_list


def _tuple(readers: Sequence[Reader]) -> Reader:
    def read(value: Any, at: str) -> Any:
        if not isinstance(value, list) or len(value) != len(readers):
            raise Misfit(f"{at or 'It'} must be a list of {len(readers)} values.")
        pairs = zip(readers, value, strict=True)
        return tuple(_all((read, one, f"{at}[{number}]") for number, (read, one) in enumerate(pairs)))

    return read


def _object_of(read: Reader) -> Reader:
    def read_object(value: Any, at: str) -> Any:
        if not isinstance(value, dict):
            _wrong(at, "an object", value)
        return dict(zip(value, list(_all((read, value[name], _inside(at, name)) for name in value)), strict=True))

    return read_object


def _union(kinds: Sequence[Any]) -> Reader:
    readers = [reader(kind) for kind in kinds if kind is not type(None)]
    optional = len(readers) < len(kinds)

    def read(value: Any, at: str) -> Any:
        if value is None and optional:
            return None
        faults: list[str] = []
        for read_one in readers:
            try:
                return read_one(value, at)
            except Misfit as error:
                faults += error.faults
        if len(readers) == 1:
            raise Misfit(*faults)
        raise Misfit(f"{at or 'It'} fits none of its types: {' '.join(faults)}")

    return read


def _literal(values: Sequence[Any]) -> Reader:
    def read(value: Any, at: str) -> Any:
        # True is 1, and JSON has both.
        if not any(type(value) is type(one) and value == one for one in values):
            raise Misfit(f"{at or 'It'} must be one of {', '.join(map(repr, values))}.")
        return value

    return read


def _choice(kind: type[enum.Enum]) -> Reader:
    read = _literal([member.value for member in kind])
    return lambda value, at: kind(read(value, at))


def _inside(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


# --- Records ----------------------------------------------------------------------------------------------------------


def _record(kind: Any) -> Reader:
    """A dataclass or a TypedDict. Fields that it does not have are for other readers of the payload."""
    known = _MADE
    if kind not in known:
        # One that contains itself finds this.
        known[kind] = lambda value, at: known[kind](value, at)
        try:
            known[kind] = _reading(kind)
        except BaseException:
            del known[kind]
            raise
    return lambda value, at: known[kind](value, at)


_MADE: dict[Any, Reader] = {}


def _reading(kind: Any) -> Reader:
    hints = get_type_hints(kind)
    is_class = hasattr(kind, "__dataclass_fields__")
    if is_class:
        own = [field for field in dataclasses.fields(kind) if field.init]
        missing = dataclasses.MISSING
        required = {field.name for field in own if field.default is missing and field.default_factory is missing}
        readers = {field.name: reader(hints[field.name]) for field in own}
    else:
        required = set(kind.__required_keys__)
        readers = {name: reader(hint) for name, hint in hints.items()}

    def read(value: Any, at: str) -> Any:
        if not isinstance(value, dict):
            _wrong(at, "an object", value)
        names = [name for name in readers if name in value or name in required]
        pairs = [(readers[name] if name in value else _missing, value.get(name), _inside(at, name)) for name in names]
        fields = dict(zip(names, list(_all(pairs)), strict=True))
        if not is_class:
            return value | fields
        try:
            return kind(**fields)
        except ValueError as error:
            # Of its __post_init__.
            raise Misfit(f"{at or 'It'}: {str(error).removesuffix('.')}.") from None

    return read


def _missing(value: Any, at: str) -> NoReturn:
    raise Misfit(f"{at} is missing.")


def _pydantic(kind: Any) -> Reader:
    """A model, or a dataclass of pydantic's, by its own rules for JSON."""
    from pydantic import TypeAdapter, ValidationError

    adapter = TypeAdapter(kind)

    def read(value: Any, at: str) -> Any:
        try:
            return adapter.validate_json(encode(value))
        except ValidationError as error:
            faults = [(".".join(map(str, fault["loc"])), fault["msg"]) for fault in error.errors(include_url=False)]
            raise Misfit(*(f"{'.'.join(filter(None, (at, where))) or 'It'}: {why}." for where, why in faults)) from None

    return read
