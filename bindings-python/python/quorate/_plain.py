"""Which form has a value without parts: texts, numbers, dates and the few values of a choice?"""

from __future__ import annotations

import datetime
import decimal
import enum
import math
import re
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

from ._errors import InvalidInput, QuorateError

Read = Callable[[Any, str, bool], Any]
"""Reads a JSON value that stands at a path, exactly or as it can be; raises :class:`Misfit`."""


class Kind(NamedTuple):
    """The form of a type."""

    schema: dict[str, Any]
    read: Read
    hashable: bool = True


class Misfit(Exception):
    """A value that a type does not take, and where. ``refused``: it has the form of the type, which refuses it all the same."""

    def __init__(self, at: str, said: str, refused: bool = False) -> None:
        super().__init__(at, said)
        self.at, self.said, self.refused = at, said, refused


def unknown(message: str) -> InvalidInput:
    """What a type without a form is answered with."""
    return InvalidInput("invalid_argument", message)


def taken(at: str, make: Callable[[], Any]) -> Any:
    """What a type makes of a value that has its form."""
    try:
        return make()
    except (QuorateError, Misfit):
        raise
    except Exception as cause:
        raise Misfit(at, f"{type(cause).__name__}: {cause}", refused=True) from cause


_TYPES: dict[Any, str] = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def _choice(pairs: list[tuple[Any, Any]], what: str) -> Kind:
    """One of a few JSON values, each read as what stands beside it."""
    values = [value for value, _ in pairs]
    for value in values:
        if not isinstance(value, tuple(_TYPES)) or (isinstance(value, float) and not math.isfinite(value)):
            has = f"{what} has a value of type {type(value).__name__}"
            raise unknown(f"{has}; JSON has texts, numbers, true, false and null: give it one of these")
    if not values:
        raise unknown(f"{what} has no values")
    names = list(dict.fromkeys(next(name for kind, name in _TYPES.items() if isinstance(value, kind)) for value in values))

    def read(value: Any, at: str, exact: bool) -> Any:
        for one, result in pairs:
            # True is no 1, and 1.0 is 1 where need be.
            if one == value and isinstance(one, bool) is isinstance(value, bool):
                if not exact or isinstance(one, float) is isinstance(value, float):
                    return result
        raise Misfit(at, f"one of {values} is expected")

    return Kind({"type": names[0] if len(names) == 1 else names, "enum": values}, read)


def literal(values: tuple[Any, ...]) -> Kind:
    """One of a ``Literal``'s values, members of enums among them."""
    return _choice([(one.value if isinstance(one, enum.Enum) else one, one) for one in values], "a Literal")


def enumeration(of: type[enum.Enum]) -> Kind:
    """A member of an enum, by its value."""
    return _choice([(one.value, one) for one in of], f"the enum {of.__name__}")


def _as_it_is(value: Any, at: str, exact: bool) -> Any:
    return value


def _instance(of: type, expected: str) -> Read:
    def read(value: Any, at: str, exact: bool) -> Any:
        if not isinstance(value, of):
            raise Misfit(at, f"{expected} is expected")
        return value

    return read


def _integer(value: Any, at: str, exact: bool) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    # 5.0 is an integer of JSON Schema. Beyond 2^53 a float may be the neighbour of what was written.
    if isinstance(value, float) and not exact and value.is_integer() and abs(value) < 2**53:
        return int(value)
    raise Misfit(at, "an integer is expected, in plain digits and within 64 bits")


def _number(value: Any, at: str, exact: bool) -> float:
    if isinstance(value, float):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and not exact:
        return float(taken(at, lambda: float(value)))
    raise Misfit(at, "a number is expected")


def _text(make: Callable[[str], Any], shaped: str, **schema: str) -> Kind:
    """A type that is written as a text."""

    def read(value: Any, at: str, exact: bool) -> Any:
        if not isinstance(value, str):
            raise Misfit(at, "a text is expected")
        if not re.fullmatch(shaped, value):
            raise Misfit(at, f"a text is expected that fits {schema}", refused=True)
        return taken(at, lambda: make(value))

    return Kind({"type": "string", **schema}, read)


def _iso(of: Any) -> Callable[[str], Any]:
    def make(text: str) -> Any:
        # Python 3.10 knows neither 'Z' nor fractions of any length.
        text = re.sub(r"\.(\d+)", lambda found: f".{found[1]:0<6.6}", text.upper().replace("Z", "+00:00"))
        return of.fromisoformat(text)

    return make


_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?([Zz]|[+-][0-9]{2}:[0-9]{2})?"
_DECIMAL = r"-?[0-9]+(\.[0-9]+)?"
_UUID = "-".join(f"[0-9a-fA-F]{{{n}}}" for n in (8, 4, 4, 4, 12))

_NULL = Kind({"type": "null"}, _instance(type(None), "null"))

# By type.
PLAIN: dict[Any, Kind] = {
    Any: Kind({}, _as_it_is),
    object: Kind({}, _as_it_is),
    str: Kind({"type": "string"}, _instance(str, "a text")),
    bool: Kind({"type": "boolean"}, _instance(bool, "true or false")),
    int: Kind({"type": "integer"}, _integer),
    float: Kind({"type": "number"}, _number),
    None: _NULL,
    type(None): _NULL,
    dict: Kind({"type": "object"}, _instance(dict, "an object"), hashable=False),
    list: Kind({"type": "array"}, _instance(list, "a list"), hashable=False),
    datetime.datetime: _text(_iso(datetime.datetime), f"{_DATE}[Tt ]{_TIME}", format="date-time"),
    datetime.date: _text(_iso(datetime.date), _DATE, format="date"),
    datetime.time: _text(_iso(datetime.time), _TIME, format="time"),
    # A number of JSON is read as a float.
    decimal.Decimal: _text(decimal.Decimal, _DECIMAL, pattern=f"^{_DECIMAL}$"),
    uuid.UUID: _text(uuid.UUID, _UUID, format="uuid"),
}
