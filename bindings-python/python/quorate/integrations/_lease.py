"""How do several stores of one process use one folder? Only one handle may write there, so they share it."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import Any

from .._kb import KnowledgeBase, open
from ._given import given_vectors


@dataclass
class _Opening:
    kb: KnowledgeBase
    users: int


_openings: dict[tuple[Any, ...], _Opening] = {}
_lock = threading.Lock()


class Lease:
    """A knowledge base that is closed when the last lease of it is given back.

    ``model``: the name of a model, or how many components the vectors have that the host computes.
    """

    def __init__(self, place: str, model: str | int, tenant: str | None, read_only: bool) -> None:
        self._key: tuple[Any, ...] | None = None
        # A child process opens for itself: a handle of its parent is not its own.
        key = (os.getpid(), os.path.realpath(place), model, read_only)
        with _lock:
            opening = _openings.get(key)
            if opening is None:
                embedder = model if isinstance(model, str) else given_vectors(model)
                opening = _Opening(open(place, embedder=embedder, read_only=read_only), 0)
                _openings[key] = opening
            # Counted before anything can go wrong, so that what fails below gives it back.
            opening.users += 1
            self._key = key
            self.kb = opening.kb if tenant is None else opening.kb.tenant(tenant)

    def close(self) -> None:
        """Gives the lease back."""
        with _lock:
            key, self._key = self._key, None
            opening = None if key is None else _openings.get(key)
            if key is None or opening is None:
                return
            opening.users -= 1
            if opening.users:
                return
            del _openings[key]
        opening.kb.close()

    def __del__(self) -> None:
        if self._key is not None:
            self.close()
