"""Which graphs ship?

>>> from quorate import Runtime, ScriptedModel
>>> runtime = Runtime(model=ScriptedModel(["500 mg."]))
>>> out = expert_consultation(runtime).compile().run({"question": "Which dose?"}, thread="case-7")
>>> out.status, out.state.answer
('done', '500 mg.')
"""

from __future__ import annotations

from typing import Any

from .. import _quorate
from .._errors import InvalidInput
from .._runtime import Runtime
from .._store import StateStore
from ._app import App
from ._engine import Engine
from ._graph import Functions, Graph

__all__ = ["expert_consultation", "panel_deliberation", "workflow_execution"]


class _Ready(Graph):
    """A graph that ships. Its nodes are the library's; compile it with a store, or make it a node of another graph."""

    def __init__(self, name: str, ready: _quorate.GraphBuilder, of: Any, store: Any) -> None:
        super().__init__({"type": "object"})
        self._name = name
        # It lives as long.
        self._of = of
        self._store = store
        self._ready = ready

    def _build(self, functions: Functions, around: list[Graph]) -> _quorate.GraphBuilder:
        functions.keep.append(self._of)
        return self._ready

    def compile(self, store: StateStore | None = None) -> App:
        """The graph as something that runs, with its threads in ``store``; None: in the store of its runtime, or engine."""
        return super().compile(self._store if store is None else store)

    def node(self, *given: Any, **options: Any) -> Graph:
        """It cannot be changed."""
        raise InvalidInput("invalid_argument", "a graph that ships cannot be changed; make it a node of your own by subgraph")

    subgraph = edge = edges_if = join = node

    def __repr__(self) -> str:
        return f"<graph {self._name}>"


def _of_runtime(name: str, runtime: Runtime) -> Graph:
    if not isinstance(runtime, Runtime):
        raise InvalidInput("invalid_argument", f"runtime is of type {type(runtime).__name__}; a Runtime is expected")
    return _Ready(name, _quorate.GraphBuilder.ready(name, runtime._native), runtime, runtime._shown["store"])


def expert_consultation(runtime: Runtime) -> Graph:
    """A graph that asks an expert, and people where the expert needs an approval, or its answer is to be reviewed.

    Channels: ``question``, ``agent``, ``autonomous``, ``review``; it gives ``answer``, ``status``, ``stopped_by``, ``citations``, ``confidence``,
    ``grounded``, ``run``, ``reviewed``. A call that needs an approval is a review with ``run`` and ``call``, answered with ``"approve"``, ``"deny"``
    or ``{"arguments": {...}}``; the review of an answer is answered with True, False or ``{"answer": ...}``. Code: ``invalid_argument``.
    """
    return _of_runtime("expert_consultation", runtime)


def panel_deliberation(runtime: Runtime) -> Graph:
    """A graph that asks a panel, and with ``escalate`` a person where the panel comes to no decision.

    Channels: ``question``, ``type``, ``members``, ``size``, ``rounds``, ``options``, ``escalate``; it gives ``decision``, ``level``, ``agreement``,
    ``synthesis``, ``status``, ``minority``, ``citations``, ``panel``, ``decided_by``. Code: ``invalid_argument``.
    """
    return _of_runtime("panel_deliberation", runtime)


def workflow_execution(engine: Engine) -> Graph:
    """A graph that starts a run of a workflow, waits for its end, and asks people what the workflow asks them.

    Channels: ``workflow``, ``input``, ``version``, ``starter``, ``offline``, ``reviews`` (False: somebody decides elsewhere); it gives ``run``,
    ``status``, ``result``. A review of the workflow is one of the graph, answered with ``{"decision": ..., "by": ...}`` and, where wanted,
    ``comment`` and ``data``; what the workflow refuses is asked for again, with ``refused`` beside the question. Code: ``invalid_argument``.
    """
    if not isinstance(engine, Engine):
        raise InvalidInput("invalid_argument", f"engine is of type {type(engine).__name__}; an Engine is expected")
    return _Ready("workflow_execution", engine._native.graph(), engine, engine.store)
