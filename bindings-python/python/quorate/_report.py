"""How do results show themselves?"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, TypeVar

_T = TypeVar("_T", bound="Report")

_short = reprlib.Repr()
_short.maxlist = _short.maxtuple = _short.maxdict = 4
_short.maxstring = _short.maxother = 60


@dataclass(frozen=True, repr=False)
class Report:
    """A result with named fields, by attribute or in brackets. Long fields are shortened when it is printed, and empty ones left out."""

    @classmethod
    def _of(cls: type[_T], found: dict[str, Any]) -> _T:
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
