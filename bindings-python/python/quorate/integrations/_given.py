"""How does a knowledge base hold and search vectors that its host computes?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._errors import InvalidInput
from .._kb import KnowledgeBase, Where
from .._quorate import Embedder, Hit, RemoteEmbedder
from . import _where

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# Legs of a hybrid search are this deep at least, and this many times deeper than the hits asked for.
_DEPTH, _DEPTH_PER_HIT = 100, 10


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


def ids(kb: KnowledgeBase, where: str | None) -> list[str]:
    """The ids of the documents that match, oldest first."""
    if where is None:
        return kb.ids()
    count = kb.count(where)
    if count == 0:
        return []
    # A filtered search brings every match when it may bring as many as there are.
    probe = [0.0] * int(kb.stats()["dim"])
    matching = {hit.doc_id for hit in kb.search_vector(probe, k=count, where=where, group_by="doc")}
    return [id for id in kb.ids() if id in matching]


@dataclass(frozen=True)
class Found:
    """A document that was found, with its score."""

    doc_id: str
    score: float
    vector: npt.NDArray[np.float32]

    @classmethod
    def of(cls, hit: Hit, score: float | None = None) -> Found:
        """What a hit says of its document."""
        return cls(hit.doc_id, hit.score if score is None else score, hit.vector)


def search(
    kb: KnowledgeBase,
    query: str,
    vector: Any,
    *,
    k: int,
    mode: str = "hybrid",
    where: Where = None,
    fusion: str = "convex",
    alpha: float = 0.5,
    rrf_k: float = 60.0,
) -> list[Found]:
    """The ``k`` best documents for a text whose vector is given, fused as in :meth:`quorate.KnowledgeBase.search`."""
    if mode == "lexical":
        return [Found.of(hit) for hit in kb.search(query, k=k, mode="lexical", where=where, group_by="doc")]
    if mode == "dense":
        return [Found.of(hit) for hit in kb.search_vector(vector, k=k, where=where, group_by="doc")]
    if mode != "hybrid":
        raise InvalidInput("invalid_argument", f"mode is '{mode}'; it is one of 'hybrid', 'dense', 'lexical'")
    if not 0.0 <= alpha <= 1.0 or fusion not in ("convex", "rrf", "dbsf"):
        raise InvalidInput("invalid_argument", f"fusion is '{fusion}' with alpha {alpha}; convex takes alpha of 0 to 1, or rrf or dbsf")
    depth = max(_DEPTH, _DEPTH_PER_HIT * k)
    words = list(kb.search(query, k=depth, mode="lexical", where=where, group_by="doc"))
    meaning = list(kb.search_vector(vector, k=depth, where=where, group_by="doc"))
    hits = {hit.doc_id: hit for hit in (*meaning, *words)}
    if fusion == "convex":
        lexical = {hit.doc_id: hit.score for hit in words}
        if len(words) == depth:
            rest = [id for id in hits if id not in lexical]
            more = kb.search(query, k=len(rest), mode="lexical", where=_among(where, rest), group_by="doc")
            lexical |= {hit.doc_id: hit.score for hit in more}
        dense = _cosines(vector, hits)
        parts = [(1.0 - alpha, _of_best(lexical)), (alpha, _of_best(dense))]
    else:
        map = _by_rank(rrf_k) if fusion == "rrf" else _by_spread
        parts = [(1.0, map(words)), (1.0, map(meaning))]
    scores = {id: sum(weight * mapped.get(id, 0.0) for weight, mapped in parts) for id in hits}
    best = sorted(hits, key=lambda id: (-scores[id], id))[:k]
    return [Found.of(hits[id], scores[id]) for id in best]


def _among(where: Where, ids: Sequence[str]) -> Where:
    member = _where.one_of(_where.own("id"), ids).yes
    if where is None:
        return member
    return {"$and": [dict(where), {"id": {"$in": list(ids)}}]} if isinstance(where, Mapping) else f"({where}) AND {member}"


def _cosines(vector: Any, hits: Mapping[str, Hit]) -> dict[str, float]:
    import numpy as np

    unit = np.asarray(vector, dtype=np.float32)
    unit = unit / (np.linalg.norm(unit) or 1.0)
    return {id: float(hit.vector @ unit) for id, hit in hits.items()}


def _of_best(scores: Mapping[str, float]) -> dict[str, float]:
    """Scores as shares of the greatest; what is negative counts as 0."""
    best = max(scores.values(), default=0.0)
    return {id: max(0.0, score) / best for id, score in scores.items()} if best > 0.0 else {}


def _by_rank(k: float) -> Any:
    return lambda leg: {hit.doc_id: 1.0 / (k + rank) for rank, hit in enumerate(leg, 1)}


def _by_spread(leg: Sequence[Hit]) -> dict[str, float]:
    """Scores mapped so that three standard deviations below and above the mean become 0 and 1."""
    import numpy as np

    scores = np.array([hit.score for hit in leg])
    spread = 6.0 * float(scores.std()) if len(leg) else 0.0
    if spread == 0.0:
        return {hit.doc_id: 0.5 for hit in leg}
    low = float(scores.mean()) - spread / 2.0
    return {hit.doc_id: (hit.score - low) / spread for hit in leg}
