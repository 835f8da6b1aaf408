"""How do results show themselves?"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar, TypeVar

from ._errors import InvalidInput

_T = TypeVar("_T", bound="Report")

_short = reprlib.Repr()
_short.maxlist = _short.maxtuple = _short.maxdict = 4
_short.maxstring = _short.maxother = 60


def plain(value: Any) -> Any:
    """A result as dicts, lists and values of Python's own types. Code: ``invalid_argument`` for what is nested too deep, or within itself."""
    try:
        return _plain(value)
    except RecursionError:
        raise InvalidInput("invalid_argument", "what was given is nested too deep, or holds itself") from None


def _plain(value: Any) -> Any:
    if isinstance(value, (str, bool)) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if hasattr(value, "to_dict") and not isinstance(value, type):
        return _plain(value.to_dict())
    if isinstance(value, Mapping):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(member) for member in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, type):
        return value
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(getattr(type(value), "__members__", None), Mapping) and hasattr(value, "value"):
        # An enum's.
        return _plain(value.value)
    if type(value).__module__ in ("uuid", "decimal", "pathlib"):
        return str(value)
    return value


def to_json(value: Any, indent: int | None = None) -> str:
    """A result, made of plain values, as JSON. Keys that are no text become text, and what is not finite becomes null."""
    import json

    return json.dumps(_finite(value), ensure_ascii=False, indent=indent, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name if isinstance(name, str) else str(name): _finite(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_finite(member) for member in value]
    return value


@dataclass(frozen=True, repr=False)
class Report:
    """A result with named fields, by attribute or in brackets. Long fields are shortened when it is printed, and empty ones left out."""

    _parts: ClassVar[dict[str, type[Report]]] = {}
    """The classes of members that are results themselves, or lists of them."""

    @classmethod
    def _made(cls: type[_T], members: dict[str, Any]) -> _T:
        """One of all its members, as the native half gives them. The constructor of a frozen dataclass takes a microsecond for each three."""
        made = object.__new__(cls)
        made.__dict__.update(members)
        return made

    @classmethod
    def _of(cls: type[_T], found: dict[str, Any]) -> _T:
        for name, part in cls._parts.items():
            given = found[name]
            if isinstance(given, list):
                found[name] = [None if one is None else part._of(one) for one in given]
            elif given is not None:
                found[name] = part._of(given)
        return cls(**found)

    def __getitem__(self, name: str) -> Any:
        if isinstance(name, str) and not name.startswith("_") and hasattr(self, name):
            return getattr(self, name)
        raise KeyError(name)

    def keys(self) -> list[str]:
        """The names of the fields, so that ``dict(...)`` of the result has them all."""
        return [field.name for field in fields(self) if field.repr]

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain dicts, lists and values, to the innermost; arrays of numpy become lists."""
        return {name: plain(getattr(self, name)) for name in self.keys()}

    def to_json(self, *, indent: int | None = None) -> str:
        """The fields as JSON; see :meth:`to_dict`. A number that is not finite is null."""
        return to_json(self.to_dict(), indent)

    def _shown(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self) if field.repr}

    def _repr_html_(self) -> str:
        from . import _html

        return _html.report(self)

    def __repr__(self) -> str:
        parts = []
        for name, value in self._shown().items():
            if value is None or (isinstance(value, (list, dict)) and not value):
                continue
            text = f"{value:.6g}" if isinstance(value, float) else _short.repr(value)
            parts.append(f"{name}={text}")
        return f"{type(self).__name__}({', '.join(parts)})"
