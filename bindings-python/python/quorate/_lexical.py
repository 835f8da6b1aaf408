"""How does a caller say which words must, may and must not occur?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

from ._errors import InvalidInput

_MAX_DEPTH = 64

Words: TypeAlias = "str | Lexical | Mapping[str, Any] | Sequence[str | Lexical | Mapping[str, Any]] | None"
Texts: TypeAlias = "str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] | None"


@dataclass(frozen=True, kw_only=True)
class Lexical:
    """Which words the hits of a search must, may and must not have; for ``kb.search(..., lexical=Lexical(...))``.

    Each member is one value or a list. What has to match (``must``, ``phrase``, ``prefix``, ``fuzzy``) and what must not holds
    for the whole search, the dense leg included. Where nothing is said but what must not match, the words of the search are
    looked for. Stop words alone say nothing.

    >>> Lexical(must=["metformin", "renal failure"], must_not="paediatric", phrase={"text": "eGFR below 30", "slop": 1}).must
    ['metformin', 'renal failure']
    """

    must: Words = None
    """Each has to match: all words of a text, in any order, or a further ``Lexical``."""
    should: Words = None
    """Adds to the score: any word of a text, or a further ``Lexical``. Where nothing has to match, at least one has to."""
    must_not: Words = None
    """None may match: all words of a text, or a further ``Lexical``."""
    phrase: Texts = None
    """Words one after the other; ``{"text": ..., "slop": 2}`` for up to two other words between them in all."""
    prefix: str | Sequence[str] | None = None
    """Beginnings of words."""
    fuzzy: Texts = None
    """Words with at most one typing error; ``{"word": ..., "distance": 2}`` for up to two."""

    def to_dict(self) -> dict[str, Any]:
        """What is given, as a dict."""
        found: dict[str, Any] = plain(self)
        return found

    def given(self) -> dict[str, Any]:
        """The members that say something, as they are."""
        members = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in members.items() if value is not None}


def plain(value: Any, depth: int = 0) -> Any:
    """The same without objects of this module. Code: ``invalid_argument`` for what is nested deeper than 64 levels."""
    if depth > _MAX_DEPTH:
        raise InvalidInput("invalid_argument", f"lexical is nested deeper than {_MAX_DEPTH} levels")
    if isinstance(value, Lexical):
        value = value.given()
    if isinstance(value, dict):
        return {name: plain(member, depth + 1) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(member, depth + 1) for member in value]
    return value
