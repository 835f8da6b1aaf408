"""quorate: hybrid search, expert matching and consensus in one process.

>>> import quorate
>>> quorate.Embedder("builtin").embed(["Metformin lowers glucose."]).dtype
dtype('float32')
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._agents import AgentRegistry, Agents, AgentVersion, AgentVersions, Matches, agent_schema
from ._answer import Answer, AnswerCitation, Check, PanelEvent, RunEvent, RunInfo, Step
from ._budget import Budget
from ._context import Citation, Citations, Context
from ._documents import Documents
from ._errors import (
    Cancelled,
    Conflict,
    Corrupt,
    InvalidInput,
    Locked,
    NotFound,
    QuorateError,
    Unavailable,
    Unsupported,
)
from ._eval import BeirDataset, Comparison, compare, evaluate, load_beir, read_trec_run, write_trec_run
from ._evaluate import AgentReport, Judge, Replayed, Scorer, evaluate_agents, golden_tasks, load_tasks
from ._hits import Hits
from ._kb import (
    CopyReport,
    Facets,
    KnowledgeBase,
    StreamStep,
    SyncReport,
    VerifyReport,
    Version,
    Versions,
    WriteReport,
    open,
)
from ._lexical import Lexical
from ._mcp import McpTools, mcp_tools
from ._models import (
    Model,
    ModelEvent,
    ModelStream,
    Recording,
    Reply,
    Resilience,
    ScriptedModel,
    ToolCall,
    Usage,
    message_schema,
    record,
    replay,
)
from ._panel import Conformity, Member, PanelAnswer, PanelBallot, PanelMinority, PanelRound
from ._quorate import (
    ERROR_CODES,
    Agent,
    CallbackEmbedder,
    CrossEncoder,
    Embedder,
    EmbeddingCache,
    Events,
    Hit,
    Match,
    Panel,
    PanelMember,
    RemoteEmbedder,
    __version__,
)
from ._record import Coverage, Explanation, Record
from ._run import PanelStream, Run, RunStream
from ._runtime import Runtime
from ._store import Checkpoints, StateStore
from ._talk import Conversation, Memory
from ._tools import Tool, ToolContext, agent_tool, kb_tool, tool

if TYPE_CHECKING:
    from . import aio, consensus

__all__ = [
    "Agent",
    "AgentRegistry",
    "AgentReport",
    "AgentVersion",
    "AgentVersions",
    "Agents",
    "Answer",
    "AnswerCitation",
    "BeirDataset",
    "Budget",
    "CallbackEmbedder",
    "Cancelled",
    "Check",
    "Checkpoints",
    "Citation",
    "Citations",
    "Comparison",
    "Conflict",
    "Conformity",
    "Context",
    "Conversation",
    "CopyReport",
    "Corrupt",
    "Coverage",
    "CrossEncoder",
    "Documents",
    "ERROR_CODES",
    "Embedder",
    "EmbeddingCache",
    "Events",
    "Explanation",
    "Facets",
    "Hit",
    "Hits",
    "InvalidInput",
    "Judge",
    "KnowledgeBase",
    "Lexical",
    "Locked",
    "Match",
    "Matches",
    "Member",
    "McpTools",
    "Memory",
    "Model",
    "ModelEvent",
    "ModelStream",
    "NotFound",
    "Panel",
    "PanelAnswer",
    "PanelBallot",
    "PanelEvent",
    "PanelMember",
    "PanelMinority",
    "PanelRound",
    "PanelStream",
    "QuorateError",
    "Record",
    "Recording",
    "RemoteEmbedder",
    "Replayed",
    "Reply",
    "Resilience",
    "Run",
    "RunEvent",
    "RunInfo",
    "RunStream",
    "Runtime",
    "Scorer",
    "ScriptedModel",
    "StateStore",
    "Step",
    "StreamStep",
    "SyncReport",
    "Tool",
    "ToolCall",
    "ToolContext",
    "Unavailable",
    "Unsupported",
    "Usage",
    "VerifyReport",
    "Version",
    "Versions",
    "WriteReport",
    "__version__",
    "agent_schema",
    "agent_tool",
    "aio",
    "compare",
    "consensus",
    "evaluate",
    "evaluate_agents",
    "golden_tasks",
    "kb_tool",
    "load_beir",
    "load_tasks",
    "mcp_tools",
    "message_schema",
    "open",
    "read_trec_run",
    "record",
    "replay",
    "tool",
    "write_trec_run",
]

# Imported when they are first named: they cost what most programs need not pay.
_LAZY = ("aio", "consensus", "plot", "telemetry")


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name in _LAZY:
            import importlib

            return importlib.import_module(f"{__name__}.{name}")
        raise AttributeError(f"module 'quorate' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
