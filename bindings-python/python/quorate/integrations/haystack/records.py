"""How does a document of Haystack lie in a knowledge base, with nothing lost?"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from haystack import Document
from haystack.dataclasses import ByteStream, SparseEmbedding

from .. import _where
from .._given import searchable

RESERVED = "_haystack"
"""The metadata member that holds what quorate's documents have no field for."""

EMBEDDED = ~_where.test(_where.meta(f"{RESERVED}.embedded"), "= false", "!= false")
"""The documents that have an embedding."""


def record(document: Document, dim: int | None) -> dict[str, Any]:
    """A document as quorate keeps it; ``dim``: components of the embedding that a document without one is given, all zero."""
    if RESERVED in document.meta:
        raise ValueError(f"document '{document.id}': the name '{RESERVED}' in meta is taken")
    kept = searchable(document.id, document.content)
    state: dict[str, Any] = {}
    if document.content is None:
        state["content"] = None
    if document.score is not None:
        state["score"] = document.score
    if document.blob is not None:
        state["blob"] = document.blob.to_dict()
    if document.sparse_embedding is not None:
        state["sparse_embedding"] = document.sparse_embedding.to_dict()
    reserved: dict[str, Any] = {}
    if document.embedding is not None:
        kept["vector"] = document.embedding
        state["embedding"] = _packed(document.embedding)
    elif dim is not None:
        kept["vector"] = [0.0] * dim
        reserved["embedded"] = False
    if state:
        # Within two lists it is kept, but no filter can name it, so that it takes no room in their columns.
        reserved["state"] = [[json.dumps(state)]]
    kept["metadata"] = {**document.meta, **({RESERVED: reserved} if reserved else {})}
    return kept


def document(found: Mapping[str, Any]) -> Document:
    """The document again."""
    meta = dict(found["metadata"])
    reserved = meta.pop(RESERVED, {})
    state = json.loads(reserved["state"][0][0]) if "state" in reserved else {}
    blob, sparse, packed = state.get("blob"), state.get("sparse_embedding"), state.get("embedding")
    return Document(
        id=found["id"],
        content=state.get("content", found["text"]),
        blob=ByteStream.from_dict(blob) if blob else None,
        meta=meta,
        score=state.get("score"),
        embedding=_unpacked(packed) if packed else None,
        sparse_embedding=SparseEmbedding.from_dict(sparse) if sparse else None,
    )


def _packed(embedding: list[float]) -> str:
    """The embedding as it was given: with 32 bits a component where these hold it, else with 64."""
    import numpy as np

    wide = np.asarray(embedding, dtype="<f8")
    narrow = wide.astype("<f4")
    exact = bool((narrow.astype("<f8") == wide).all())
    return ("4" if exact else "8") + base64.b64encode((narrow if exact else wide).tobytes()).decode()


def _unpacked(packed: str) -> list[float]:
    import numpy as np

    numbers: list[float] = np.frombuffer(base64.b64decode(packed[1:]), dtype="<f" + packed[0]).tolist()
    return numbers
