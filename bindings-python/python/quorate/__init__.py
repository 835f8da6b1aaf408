"""quorate: hybrid search, expert matching and consensus in one process.

>>> import quorate
>>> quorate.Embedder("builtin").embed(["Metformin lowers glucose."]).dtype
dtype('float32')
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._agents import AgentRegistry, Agents, AgentVersion, AgentVersions, Matches, agent_schema
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

if TYPE_CHECKING:
    from . import aio, consensus

__all__ = [
    "ERROR_CODES",
    "Agent",
    "AgentRegistry",
    "AgentVersion",
    "AgentVersions",
    "Agents",
    "BeirDataset",
    "CallbackEmbedder",
    "Cancelled",
    "Citation",
    "Citations",
    "Comparison",
    "Conflict",
    "Context",
    "CopyReport",
    "Corrupt",
    "Coverage",
    "CrossEncoder",
    "Documents",
    "Embedder",
    "EmbeddingCache",
    "Events",
    "Explanation",
    "Facets",
    "Hit",
    "Hits",
    "InvalidInput",
    "KnowledgeBase",
    "Lexical",
    "Locked",
    "Match",
    "Matches",
    "Model",
    "ModelEvent",
    "ModelStream",
    "NotFound",
    "Panel",
    "PanelMember",
    "QuorateError",
    "Record",
    "Recording",
    "RemoteEmbedder",
    "Reply",
    "Resilience",
    "ScriptedModel",
    "StreamStep",
    "SyncReport",
    "ToolCall",
    "Unavailable",
    "Unsupported",
    "Usage",
    "VerifyReport",
    "Version",
    "Versions",
    "WriteReport",
    "__version__",
    "agent_schema",
    "aio",
    "compare",
    "consensus",
    "evaluate",
    "load_beir",
    "message_schema",
    "open",
    "read_trec_run",
    "record",
    "replay",
    "write_trec_run",
]

# Imported when they are first named: they cost what most programs need not pay.
_LAZY = ("aio", "consensus", "plot")


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        import importlib

        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'quorate' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
