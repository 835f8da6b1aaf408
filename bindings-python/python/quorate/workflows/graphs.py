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
from ._graph import Functions, Graph

__all__ = ["expert_consultation", "panel_deliberation"]


class _Ready(Graph):
    """A graph that ships. Its nodes are the library's; compile it with a store, or make it a node of another graph."""

    def __init__(self, name: str, runtime: Runtime) -> None:
        if not isinstance(runtime, Runtime):
            raise InvalidInput("invalid_argument", f"runtime is of type {type(runtime).__name__}; a Runtime is expected")
        super().__init__({"type": "object"})
        self._name = name
        # It lives as long.
        self._runtime = runtime
        self._ready = _quorate.GraphBuilder.ready(name, runtime._native)

    def _build(self, functions: Functions, around: list[Graph]) -> _quorate.GraphBuilder:
        functions.keep.append(self._runtime)
        return self._ready

    def compile(self, store: StateStore | None = None) -> App:
        """The graph as something that runs, with its threads in ``store``; None: in the store of its runtime."""
        own: Any = self._runtime._shown["store"]
        return super().compile(own if store is None else store)

    def node(self, *given: Any, **options: Any) -> Graph:
        """It cannot be changed."""
        raise InvalidInput("invalid_argument", "a graph that ships cannot be changed; make it a node of your own by subgraph")

    subgraph = edge = edges_if = join = node

    def __repr__(self) -> str:
        return f"<graph {self._name}>"


def expert_consultation(runtime: Runtime) -> Graph:
    """A graph that asks an expert, and people where the expert needs an approval, or its answer is to be reviewed.

    Channels: ``question``, ``agent``, ``autonomous``, ``review``; it gives ``answer``, ``status``, ``stopped_by``, ``citations``, ``confidence``,
    ``grounded``, ``run``, ``reviewed``. A call that needs an approval is a review with ``run`` and ``call``, answered with ``"approve"``, ``"deny"``
    or ``{"arguments": {...}}``; the review of an answer is answered with True, False or ``{"answer": ...}``. Code: ``invalid_argument``.
    """
    return _Ready("expert_consultation", runtime)


def panel_deliberation(runtime: Runtime) -> Graph:
    """A graph that asks a panel, and with ``escalate`` a person where the panel comes to no decision.

    Channels: ``question``, ``type``, ``members``, ``size``, ``rounds``, ``options``, ``escalate``; it gives ``decision``, ``level``, ``agreement``,
    ``synthesis``, ``status``, ``minority``, ``citations``, ``panel``, ``decided_by``. Code: ``invalid_argument``.
    """
    return _Ready("panel_deliberation", runtime)
