"""How does a knowledge base hold vectors that its host computes?"""

from __future__ import annotations

from typing import Any

from .._quorate import Embedder, RemoteEmbedder


def given_vectors(dim: int, id: str = "given-vectors") -> Embedder:
    """An embedder that only names a model and its dimension: each document and each query brings its vector.

    It is a remote model that is never asked; were it asked, the address is one of this machine where nothing answers.
    """
    return RemoteEmbedder("http://127.0.0.1:9", model=id, dimensions=dim, retries=0)


def searchable(id: str, text: str | None) -> dict[str, Any]:
    """The fields of a document that is found by its vector even when it has no text."""
    if text is None or not text.strip():
        return {"id": id, "text": text or "", "title": id}
    return {"id": id, "text": text}
