"""What do workflows and reviews look like?"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, StrictBool, StrictInt

from .common import Id, Loose, Short, Strict, Whole


class WorkflowOut(BaseModel):
    """A workflow, as lists show it."""

    id: str
    version: str
    title: str
    domain: str | None
    hash: str


class WorkflowsOut(BaseModel):
    """The newest version of each workflow."""

    workflows: list[WorkflowOut]


class WorkflowWhole(WorkflowOut):
    """A workflow with its versions and its diagram."""

    versions: list[str]
    mermaid: str


class StartIn(Strict):
    """How a run of a workflow begins."""

    input: Any = None
    version: Short | None = None
    priority: Annotated[StrictInt, Field(ge=-1_000, le=1_000), Whole] | None = None
    offline: StrictBool = False
    """Whether stand-ins take the place of the world, and the workflow's example that of an input that is not given."""


class FlowOut(BaseModel):
    """A run of a workflow."""

    id: str
    workflow: str
    version: str
    status: str
    ending: dict[str, Any] | None
    """How it ended: ``output``, or ``code`` and ``message``; null while it goes on."""


class FlowsOut(BaseModel):
    """Runs of workflows, the newest first."""

    runs: list[FlowOut]
    more: bool


class StepsOut(BaseModel):
    """The steps of a run."""

    steps: list[dict[str, Any]]


class SignalIn(Strict):
    """What is told to a run that waits for it."""

    name: Short
    data: Any = None
    id: Short | None = None
    """Of those with the same id, the first counts."""


class CancelIn(Strict):
    """How a run is ended."""

    reason: Annotated[str, Field(max_length=1_000)] = ""
    compensate: StrictBool = True
    """Whether what was done is undone, where the workflow says how."""


class StepIn(Strict):
    """A step."""

    step: Short


class RetryIn(Strict):
    """A step, or all that are blocked."""

    step: Short | None = None


class ReviewOut(Loose):
    """A review that is open."""

    id: str
    run_id: str
    step: str
    role: str
    title: str
    options: list[str]
    claimed_by: str | None
    due: float | None


class ReviewsOut(BaseModel):
    """Reviews that are open."""

    reviews: list[ReviewOut]


class DecideIn(Strict):
    """A decision. Who decides is who asks."""

    option: Short
    comment: Annotated[str, Field(max_length=10_000)] | None = None
    data: Any = None


class DelegateIn(Strict):
    """To whom a review goes."""

    user: Id
