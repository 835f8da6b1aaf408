"""What are nested results made of? Dicts whose members are attributes too."""

from __future__ import annotations

from typing import Any

from ._report import plain, to_json


class Record(dict[str, Any]):
    """A dict whose members are attributes too.

    >>> found = record({"score": 0.5, "dense": {"rank": 1}})
    >>> found["score"], found.dense.rank
    (0.5, 1)
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"'{type(self).__name__}' has no member '{name}'; it has {list(self)}") from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]

    def to_dict(self) -> dict[str, Any]:
        """The members as plain dicts, lists and values, to the innermost."""
        return {name: plain(member) for name, member in self.items()}

    def to_json(self, *, indent: int | None = None) -> str:
        """The members as JSON."""
        return to_json(self.to_dict(), indent)

    def _repr_html_(self) -> str:
        from . import _html

        return _html.record(self)


class Explanation(Record):
    """How a score came about, step by step; ``str()`` of it is the arithmetic for people."""

    __slots__ = ("_text",)
    _text: str

    def __init__(self, members: dict[str, Any], text: str = "") -> None:
        super().__init__(members)
        self._text = text

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return self._text

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self), self._text)

    def _repr_html_(self) -> str:
        from . import _html

        return _html.explanation(self)


class Coverage(Record):
    """What a panel covers; ``float()`` of it is the value that was maximised, 0 to 1."""

    __slots__ = ()

    def __float__(self) -> float:
        return float(self["value"])


def record(value: Any) -> Any:
    """The same with every dict in it as a :class:`Record`."""
    if isinstance(value, dict):
        return Record({name: record(member) for name, member in value.items()})
    if isinstance(value, list):
        return [record(member) for member in value]
    return value


def explanation(value: dict[str, Any], text: str) -> Explanation:
    """The report of a score as a record that reads as ``text``."""
    return Explanation({name: record(member) for name, member in value.items()}, text.rstrip())


def coverage(value: dict[str, Any]) -> Coverage:
    """The report of a panel's coverage as a record."""
    return Coverage({name: record(member) for name, member in value.items()})
