"""What do documents, searches, votes and ingests look like?"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StrictBool, StrictInt, StrictStr

from .common import Id, Name, Problem, Question, Short, Strict, Whole

Integer = Annotated[StrictInt, Field(ge=-(2**63), le=2**63 - 1)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1e300, le=1e300)]
Value = StrictBool | Integer | Number | StrictStr | list[StrictStr] | None
"""A value of metadata that filters can compare."""


Text = Annotated[str, Field(min_length=1, max_length=1_000_000, pattern=r"\S")]


class DocumentIn(Strict):
    """A document to keep."""

    id: Id
    text: Text
    title: Annotated[str, Field(max_length=1_000)] = ""
    source: Annotated[str, Field(max_length=2_000)] = ""
    metadata: dict[Name, Value] = Field(default_factory=dict, json_schema_extra={"additionalProperties": False})


class DocumentOut(BaseModel):
    """A document that is kept."""

    id: str
    text: str
    title: str
    source: str
    metadata: dict[str, Any]


class Batch(Strict):
    """Documents that are written together: all or none."""

    documents: Annotated[list[DocumentIn], Field(min_length=1, max_length=1_000)]
    on_conflict: Literal["error", "replace"] = "error"
    """What to do about ids that exist."""


class Written(BaseModel):
    """What a write did."""

    added: int
    replaced: int
    unchanged: int
    chunks: int
    version: int


class Deleted(BaseModel):
    """What a deletion did."""

    deleted: int


class HitOut(BaseModel):
    """A piece that was found; ``start`` and ``end`` count code points of its document's text."""

    doc_id: str
    chunk_id: str
    score: float
    title: str
    text: str
    start: int
    end: int
    metadata: dict[str, Any]
    explanation: dict[str, Any] | None = None


class Found(BaseModel):
    """The hits of a search, best first."""

    hits: list[HitOut]


class ContextIn(Strict):
    """A question whose context is wanted."""

    question: Question
    max_tokens: Annotated[StrictInt, Field(ge=64, le=100_000), Whole] = 2000


class Citation(BaseModel):
    """Where a piece of the context comes from."""

    marker: str
    doc_id: str
    chunk_id: str
    start: int
    end: int
    title: str


class ContextOut(BaseModel):
    """Cited text within the token budget."""

    text: str
    tokens: int
    citations: list[Citation]


class Vote(Strict):
    """One rating."""

    item: Short
    rater: Short
    label: Short


class ConsensusIn(Strict):
    """Votes of several raters on several items."""

    votes: Annotated[list[Vote], Field(min_length=1, max_length=10_000)]
    method: Literal["majority_vote", "dawid_skene", "one_coin", "glad", "mace", "wawa"] = "dawid_skene"
    duplicates: Literal["first", "last"] = "last"
    """Which vote counts when a rater voted on an item twice."""


class ConsensusOut(BaseModel):
    """What the raters say together."""

    labels: dict[str, str]
    probabilities: dict[str, dict[str, float]]
    skills: dict[str, float]
    alpha: float | None
    """Krippendorff's alpha; null where it is undefined."""
    undefined: str | None
    """Why there is no alpha."""


class Job(BaseModel):
    """An ingest under way or done."""

    id: str
    status: Literal["running", "done", "failed", "cancelled"]
    done: int
    total: int
    written: Written | None = None
    problem: Problem | None = None
