"""What does a language model get to read, and where does each passage come from?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from ._quorate import Embedder
from ._report import Report
from ._rows import Rows

Tokenizer: TypeAlias = Embedder | Callable[[str], int] | None


@dataclass(frozen=True, repr=False)
class Citation(Report):
    """Where a passage comes from: ``document_text[start:end]`` is the passage."""

    marker: str
    """What stands before the passage in the text: ``[1]``, ``[2]`` and so on."""
    doc_id: str
    """The id of its document."""
    chunk_id: str
    """The id of the best piece in it."""
    start: int
    """Where it starts in its document's text, in code points."""
    end: int
    """Where it ends in its document's text, in code points."""
    title: str
    """The title of its document; empty when there is none."""
    score: float
    """The score of the best piece in it."""


class Citations(Rows[Citation]):
    """Citations in the order of the text: a list, and a table with a column for each of their fields."""

    __slots__ = ()
    _name = "citations"
    _kinds = {
        "marker": "text", "doc_id": "text", "chunk_id": "text", "start": "int", "end": "int", "title": "text", "score": "float",
    }


@dataclass(frozen=True, repr=False)
class Context(Report):
    """A text made of passages, each under its marker and its document's title. ``str()`` of it is the text."""

    text: str
    """The text; empty when nothing was found or nothing fits, which ``reason`` tells."""
    citations: Citations
    """One for each passage, in the order of the text."""
    tokens: int
    """The tokens of the text, as they were counted; at most ``max_tokens``."""
    reason: str | None = None
    """Why the text is empty, None where it is not: ``nothing_found``, ``nothing_relevant`` (something was found, but nothing that
    reaches ``min_relevance`` or ``min_score``), or ``budget_too_small`` (not even the beginning of a passage fits)."""

    @classmethod
    def _of(cls, found: dict[str, Any]) -> Context:
        citations = Citations(Citation(**one) for one in found["citations"])
        return cls(found["text"], citations, found["tokens"], found["reason"])

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        from . import _html

        return _html.context(self)
