"""How does a framework's filter become one of quorate?

Frameworks treat a missing field as a value (``year != 2020`` holds for a document without a year); quorate's filters
treat it as unknown. A :class:`Test` therefore carries both the condition and its opposite, each of which decides every
document.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .._errors import InvalidInput


@dataclass(frozen=True)
class Test:
    """A condition as filter text, and its opposite."""

    yes: str
    no: str

    def __invert__(self) -> Test:
        return Test(self.no, self.yes)


NEVER = Test("id IS NULL", "id IS NOT NULL")
"""Matches no document: each has an id."""


def meta(path: str) -> str:
    """The name of a metadata field."""
    return own("metadata." + path)


def own(name: str) -> str:
    """The name of a field of the document itself."""
    return "`" + name.replace("`", "``") + "`"


def literal(value: Any) -> str:
    """A value as filter text. Code ``filter_type`` for what no field can hold."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return repr(value)
    raise InvalidInput(
        "filter_type", f"{value!r} of type {type(value).__name__} is compared with; give a string, a number or a bool"
    )


def literals(values: Iterable[Any]) -> str:
    """A list of values as filter text."""
    return "(" + ", ".join(literal(value) for value in values) + ")"


def pattern(text: str) -> str:
    """A pattern of LIKE for the strings that contain ``text``."""
    for special in "\\%_":
        text = text.replace(special, "\\" + special)
    return literal(f"%{text}%")


def test(field: str, holds: str, fails: str) -> Test:
    """``field holds``, or its opposite ``field fails`` which a missing field meets too."""
    return Test(f"{field} {holds}", f"({field} IS NULL OR {field} {fails})")


def missing(field: str) -> Test:
    """The field is absent or null."""
    return Test(f"{field} IS NULL", f"{field} IS NOT NULL")


def one_of(field: str, values: Iterable[Any]) -> Test:
    """The field has one of the values; None stands for a missing field."""
    values = list(values)
    known = [value for value in values if value is not None]
    tests = [test(field, f"IN {literals(known)}", f"NOT IN {literals(known)}")] if known else []
    return either(tests + ([missing(field)] if len(known) < len(values) else []))


def both(tests: Iterable[Test]) -> Test:
    """All of the tests hold; true without any."""
    tests = list(tests)
    if not tests:
        return ~NEVER
    return Test(_join("AND", [t.yes for t in tests]), _join("OR", [t.no for t in tests]))


def either(tests: Iterable[Test]) -> Test:
    """One of the tests holds; false without any."""
    return ~both([~t for t in tests])


def _join(word: str, parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else "(" + f" {word} ".join(parts) + ")"
