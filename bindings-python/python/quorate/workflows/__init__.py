"""How is work done that takes longer than a process lives?

>>> import quorate
>>> from quorate import workflows as wf
>>> with wf.Engine(quorate.StateStore()) as engine:
...     run = engine.start("example", offline=True)
...     run.wait(), run.result()
('completed', {'greeted': 'Ada', 'reply': 'Hello'})
"""

from __future__ import annotations

from .._quorate import ManualClock
from ._engine import Engine, Problem, Template, templates, workflow_schema
from ._flow import Definition, JournalEntry, Review, WorkflowRun, WorkflowStep, WorkflowStream
from ._hands import Breaker, Bulkhead, StepContext, Tool

__all__ = [
    "Breaker",
    "Bulkhead",
    "Definition",
    "Engine",
    "JournalEntry",
    "ManualClock",
    "Problem",
    "Review",
    "StepContext",
    "Template",
    "Tool",
    "WorkflowRun",
    "WorkflowStep",
    "WorkflowStream",
    "templates",
    "workflow_schema",
]
