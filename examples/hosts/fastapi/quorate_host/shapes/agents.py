"""What do experts look like?"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, StrictBool, StrictInt

from .common import Loose, Question, Strict, Whole


class AgentOut(Loose):
    """An expert's definition."""

    id: str
    name: str
    summary: str


class AgentsOut(BaseModel):
    """Experts, by id."""

    agents: list[AgentOut]
    total: int
    """How many there are with those that were left out."""


class AgentIn(Loose):
    """An expert's definition, as the library's schema of agents says; the id is the one in the path."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    summary: Annotated[str, Field(min_length=1, max_length=2_000)]


class MatchIn(Strict):
    """A question that looks for experts."""

    question: Question
    k: Annotated[StrictInt, Field(ge=1, le=50), Whole] = 5
    abstain: StrictBool = False
    """Whether to name nobody rather than guess."""


class Matched(BaseModel):
    """An expert for the question."""

    agent: str
    name: str
    score: float
    confidence: float


class Matches(BaseModel):
    """The experts, best first."""

    matches: list[Matched]


def plain(agent: Any) -> dict[str, Any]:
    """An expert as plain data."""
    found: dict[str, Any] = agent.to_dict()
    return found
