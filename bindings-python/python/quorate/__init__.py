"""quorate: hybrid search, expert matching and consensus in one process.

>>> import quorate
>>> quorate.Embedder("builtin").embed(["Metformin lowers glucose."]).dtype
dtype('float32')
"""

from __future__ import annotations

from . import consensus
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
from ._kb import KnowledgeBase, WriteReport, open
from ._quorate import ERROR_CODES, CrossEncoder, Embedder, EmbeddingCache, Hit, RemoteEmbedder, __version__

__all__ = [
    "ERROR_CODES",
    "BeirDataset",
    "Cancelled",
    "Comparison",
    "Conflict",
    "Corrupt",
    "CrossEncoder",
    "Embedder",
    "EmbeddingCache",
    "Hit",
    "InvalidInput",
    "KnowledgeBase",
    "Locked",
    "NotFound",
    "QuorateError",
    "RemoteEmbedder",
    "Unavailable",
    "Unsupported",
    "WriteReport",
    "__version__",
    "compare",
    "consensus",
    "evaluate",
    "load_beir",
    "open",
    "read_trec_run",
    "write_trec_run",
]
