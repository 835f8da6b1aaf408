"""How is work done that takes longer than a process lives?

``from quorate import workflows as wf``. Graphs: :class:`Graph`, whose nodes are functions of a state, kept step by step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import graphs
from ._app import App, Context, GraphStream, Outcome
from ._forms import END, START, Goto, Retry, Send
from ._graph import Graph

if TYPE_CHECKING:
    from ._saver import LangGraphSaver

__all__ = [
    "App",
    "Context",
    "END",
    "Goto",
    "Graph",
    "GraphStream",
    "Outcome",
    "Retry",
    "START",
    "Send",
    "graphs",
]


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        # It needs LangGraph, which is imported when it is first named.
        if name == "LangGraphSaver":
            from ._saver import LangGraphSaver

            return LangGraphSaver
        raise AttributeError(f"module 'quorate.workflows' has no attribute '{name}'")
