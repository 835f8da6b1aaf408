"""Which hits are good and unlike each other?"""

from __future__ import annotations

from collections.abc import Iterable

from ._given import Found


def diverse(hits: Iterable[Found], k: int, weight: float) -> list[Found]:
    """``k`` of the hits by maximal marginal relevance (Carbonell and Goldstein 1998).

    Each choice maximises ``weight`` times the score less ``1 - weight`` times the greatest cosine with those chosen.
    """
    import numpy as np

    rest = list(hits)
    if not rest:
        return []
    vectors = np.stack([hit.vector for hit in rest])
    scores = np.array([hit.score for hit in rest])
    nearest = np.zeros(len(rest))
    left = np.ones(len(rest), dtype=bool)
    chosen: list[Found] = []
    while len(chosen) < min(k, len(rest)):
        value = np.where(left, weight * scores - (1.0 - weight) * nearest, -np.inf)
        best = int(value.argmax())
        left[best] = False
        likeness = vectors @ vectors[best]
        nearest = likeness if not chosen else np.maximum(nearest, likeness)
        chosen.append(rest[best])
    return chosen
