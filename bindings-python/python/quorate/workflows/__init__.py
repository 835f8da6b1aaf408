"""How is work done that takes longer than a process lives?

``from quorate import workflows as wf``. Graphs: :class:`Graph`, whose nodes are functions of a state, kept step by step. Workflows:
:class:`Engine`, which runs files that say who does what, by whom it is decided, and what is waited for. :class:`JobStory`: which workflow does
what somebody wants to get done. Work that waits (:class:`Queue`), what has happened (:class:`Events`), and steps that are done or undone together
(:class:`Saga`) are those of a :class:`quorate.StateStore`.

>>> import quorate
>>> from quorate import workflows as wf
>>> with wf.Engine(quorate.StateStore()) as engine:
...     run = engine.start("example", offline=True)
...     run.wait(), run.result()
('completed', {'greeted': 'Ada', 'reply': 'Hello'})
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._quorate import ManualClock
from . import graphs
from ._app import App, Context, GraphStream, Outcome
from ._engine import Engine, Problem, Template, templates, workflow_schema
from ._events import DeadEvent, DeadEvents, Event, Events, Subscription
from ._flow import Definition, JournalEntry, Review, WorkflowRun, WorkflowStep, WorkflowStream
from ._forms import END, START, Goto, Retry, Send
from ._graph import Graph
from ._hands import Breaker, Bulkhead, StepContext, Tool
from ._jobs import Draft, JobOutcome, JobStory, KeptStory, Measurement, Stories
from ._queue import Dead, DeadMessage, Message, Put, Queue, Workers
from ._schedule import Schedule

if TYPE_CHECKING:
    from ._saga import Saga
    from ._saver import LangGraphSaver

__all__ = [
    "App",
    "Breaker",
    "Bulkhead",
    "Context",
    "Dead",
    "DeadEvent",
    "DeadEvents",
    "DeadMessage",
    "Definition",
    "Draft",
    "END",
    "Engine",
    "Event",
    "Events",
    "Goto",
    "Graph",
    "GraphStream",
    "JobOutcome",
    "JobStory",
    "JournalEntry",
    "KeptStory",
    "ManualClock",
    "Measurement",
    "Message",
    "Outcome",
    "Problem",
    "Put",
    "Queue",
    "Retry",
    "Review",
    "START",
    "Saga",
    "Schedule",
    "Send",
    "StepContext",
    "Stories",
    "Subscription",
    "Template",
    "Tool",
    "Workers",
    "WorkflowRun",
    "WorkflowStep",
    "WorkflowStream",
    "graphs",
    "templates",
    "workflow_schema",
]


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        # It needs LangGraph, which is imported when it is first named.
        if name == "LangGraphSaver":
            from ._saver import LangGraphSaver

            return LangGraphSaver
        # So does asyncio.
        if name == "Saga":
            from ._saga import Saga

            return Saga
        raise AttributeError(f"module 'quorate.workflows' has no attribute '{name}'")
