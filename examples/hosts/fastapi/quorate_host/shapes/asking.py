"""What do questions to experts and panels look like, and what comes of them?"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StrictBool, StrictFloat, StrictInt

from .common import Id, Loose, Question, Seed, Short, Strict, Where, Whole

Least = Annotated[StrictInt, Field(ge=1, le=10_000_000), Whole]
Money = Annotated[StrictFloat | StrictInt, Field(gt=0, le=10_000)]


class BudgetIn(Strict):
    """What a run may spend; never more than the service allows."""

    max_cost: Money | None = None
    """US dollars."""
    max_tokens: Least | None = None
    max_seconds: Annotated[StrictFloat | StrictInt, Field(gt=0, le=86_400)] | None = None
    max_steps: Annotated[StrictInt, Field(ge=1, le=1_000), Whole] | None = None
    max_tool_calls: Annotated[StrictInt, Field(ge=0, le=10_000), Whole] | None = None


class Asked(Strict):
    """What all questions have."""

    question: Question
    where: Where | None = None
    budget: BudgetIn | None = None
    seed: Seed = 0
    stream: StrictBool = False
    """Whether events come, as with the header ``Accept: text/event-stream``."""
    detach: StrictBool = False
    """Whether the run goes on when the client goes away. Without ``stream`` the answer comes at once then, with the run's id."""


class AskIn(Asked):
    """A question to an expert."""

    agent: Id | None = None
    """Its id; null: the one that fits best."""
    autonomous: StrictBool = False
    """Whether it plans, acts and checks by itself."""
    conversation: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = None
    """The id of a conversation of this user, begun by its first use."""
    output: dict[str, Any] | None = Field(default=None, json_schema_extra={"additionalProperties": False})
    """The JSON Schema of the answer."""


class MemberIn(Strict):
    """A member of a panel."""

    id: Id
    role: Literal["expert", "moderator", "observer"] = "expert"
    weight: Annotated[StrictFloat | StrictInt, Field(ge=0, le=1_000)] = 1.0


class PanelIn(Asked):
    """A question to a panel."""

    type: Literal["parallel", "sequential", "consensus", "debate", "socratic", "delphi"] = "parallel"
    members: Annotated[list[Id | MemberIn], Field(min_length=1, max_length=25)] | None = None
    """Null: the ``size`` experts that fit best together."""
    size: Annotated[StrictInt, Field(ge=1, le=25), Whole] = 5
    rounds: Annotated[StrictInt, Field(ge=1, le=10), Whole] | None = None
    options: Annotated[list[Short], Field(min_length=2, max_length=50)] | None = None
    scale: Annotated[list[StrictFloat | StrictInt], Field(min_length=2, max_length=2)] | None = None
    quorum: Annotated[StrictFloat | StrictInt, Field(ge=0, le=1)] = 0.6
    weights: Literal["declared", "calibrated", "confidence"] = "declared"
    title: Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")] | None = None


class AnswerOut(Loose):
    """What an expert, or a panel, came to. A limit of the budget is no error: ``status`` and ``stopped_by`` say so."""

    run_id: str
    status: str
    """``done``, ``partial``, ``waiting``, ``cancelled``, ``refused``, ``abstained``, ``no_consensus``."""
    stopped_by: str | None = None
    citations: list[dict[str, Any]] = Field(default_factory=list)


class RunOut(BaseModel):
    """A run, as lists show it."""

    run_id: str
    kind: str
    title: str
    status: str
    """``interrupted``: its process ended, and it can be resumed."""
    parent: str | None
    created: float
    updated: float


class RunsOut(BaseModel):
    """Runs, the newest first."""

    runs: list[RunOut]
    more: bool
    """Whether there are more; ``before`` of the next request is the last one's id."""


class RunWhole(RunOut):
    """A run with what it came to, as far as it has come."""

    answer: AnswerOut | None
    problem: dict[str, Any] | None
    """Why it failed."""


class EventsOut(BaseModel):
    """What a run showed."""

    events: list[dict[str, Any]]


class ResumeIn(Strict):
    """How a run goes on."""

    decisions: dict[Short, Literal["approve", "deny"] | dict[str, Any]] = Field(
        default_factory=dict, max_length=100, json_schema_extra={"additionalProperties": False}
    )
    """By the id of the call that waits, or ``plan``: ``approve``, ``deny``, ``{"arguments": {...}}``."""
    stream: StrictBool = False
    detach: StrictBool = False
