"""How are documents kept and found?"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from . import _quorate
from ._errors import InvalidInput
from ._quorate import Embedder, Hit
from ._report import Report

Where = str | Mapping[str, Any] | None


@dataclass(frozen=True, repr=False)
class WriteReport(Report):
    """What a write did."""

    added: int
    """New documents."""
    replaced: int
    """Documents that were there before."""
    chunks: int
    """Pieces that were embedded."""
    skipped: list[dict[str, Any]]
    """With ``on_error="skip"``: ``{"index", "id", "code", "message"}`` of what was left out."""
    version: int
    """The version that holds the write."""


@dataclass(frozen=True)
class _Search:
    k: int
    offset: int
    mode: str
    fusion: str
    alpha: float
    rrf_k: float
    strict: bool
    group_by: str | None
    min_score: float | None


def open(
    place: str | os.PathLike[str],
    *,
    embedder: Embedder | str | os.PathLike[str] | None = None,
    tenant: str | None = None,
    read_only: bool = False,
) -> KnowledgeBase:
    """Opens the knowledge base in a folder; creates it when it is absent. It is a context manager too.

    ``embedder``: None for what it was made with (the built-in model for a new one), a model folder, a hub id, or an
    :class:`Embedder`. Codes: ``locked``, ``embedder_mismatch``, ``not_found`` (read-only and absent), ``corrupt``,
    ``format_version``, ``io``, ``permission_denied``.
    """
    return KnowledgeBase(_quorate.open(place, embedder, tenant, read_only))


class KnowledgeBase:
    """Documents that are kept and found; made by :func:`quorate.open`.

    ``where`` is a filter such as ``"year >= 2020 AND kind IN ('label', 'guideline')"`` or ``{"year": {"$gte": 2020}}``. Every
    call releases the GIL while it works.
    """

    def __init__(self, native: _quorate.KnowledgeBase) -> None:
        self._native = native

    def add(self, documents: Iterable[Mapping[str, Any]], *, on_error: str = "stop") -> WriteReport:
        """Adds documents ``{"id", "text", "title", "source", "metadata"}``: all or none.

        With ``on_error="skip"`` all but those that cannot be stored, which the report lists. Codes: ``duplicate_id``,
        ``invalid_document``, ``too_large``, ``read_only``, ``closed``, and those of the embedder and of files.
        """
        return WriteReport._of(self._native.write(documents, False, on_error))

    def upsert(self, documents: Iterable[Mapping[str, Any]], *, on_error: str = "stop") -> WriteReport:
        """Adds documents and replaces those whose id exists. Otherwise as :meth:`add`."""
        return WriteReport._of(self._native.write(documents, True, on_error))

    def update_metadata(self, id: str, metadata: Mapping[str, Any]) -> None:
        """Gives a document other metadata, without embedding it again. Codes: ``unknown_id``, ``invalid_document``."""
        self._native.update_metadata(id, dict(metadata))

    def delete(self, ids: Iterable[str] | None = None, *, where: Where = None) -> int:
        """Deletes documents by id or by filter, and says how many. Codes: ``unknown_id``, ``filter_syntax``, ``filter_type``."""
        if ids is not None and where is None:
            return self._native.delete_ids(ids)
        if where is not None and ids is None:
            return self._native.delete_where(_where(where))
        raise InvalidInput("invalid_argument", "delete takes either ids or where")

    def search(
        self,
        query: str,
        *,
        k: int = 10,
        mode: str = "hybrid",
        where: Where = None,
        fusion: str = "convex",
        alpha: float = 0.5,
        rrf_k: float = 60.0,
        group_by: str | None = None,
        offset: int = 0,
        min_score: float | None = None,
        strict: bool = False,
    ) -> list[Hit]:
        """The ``k`` best pieces for a query, best first.

        ``mode``: ``hybrid``, ``dense`` or ``lexical``. ``fusion`` of the two legs: ``convex`` (``alpha`` is the weight of the
        dense one), ``rrf`` or ``dbsf``. ``group_by="doc"``: the best piece of each document. ``strict``: a filter that names a
        field of no document is an error. Codes: ``filter_syntax``, ``filter_type``, ``filter_field``,
        ``invalid_argument``, ``closed``.
        """
        keywords = _Search(k, offset, mode, fusion, alpha, rrf_k, strict, group_by, min_score)
        return self._native.search(query, _where(where), keywords)

    def search_batch(
        self,
        queries: Iterable[str],
        *,
        k: int = 10,
        mode: str = "hybrid",
        where: Where = None,
        fusion: str = "convex",
        alpha: float = 0.5,
        rrf_k: float = 60.0,
        group_by: str | None = None,
        offset: int = 0,
        min_score: float | None = None,
        strict: bool = False,
    ) -> list[list[Hit]]:
        """The hits of several queries, in parallel. Keywords as in :meth:`search`."""
        keywords = _Search(k, offset, mode, fusion, alpha, rrf_k, strict, group_by, min_score)
        return self._native.search_batch(queries, _where(where), keywords)

    def search_vector(
        self,
        vector: Any,
        *,
        k: int = 10,
        where: Where = None,
        group_by: str | None = None,
        offset: int = 0,
        min_score: float | None = None,
        strict: bool = False,
    ) -> list[Hit]:
        """The pieces whose vectors are most similar to this one. Codes as in :meth:`search`, and ``invalid_shape``."""
        keywords = _Search(k, offset, "dense", "convex", 0.5, 60.0, strict, group_by, min_score)
        return self._native.search_vector(vector, _where(where), keywords)

    def get(self, id: str) -> dict[str, Any]:
        """The document with this id. Codes: ``unknown_id``, ``closed``."""
        return self._native.get(id)

    def count(self, where: Where = None) -> int:
        """How many documents match; all of them without a filter. Codes: ``filter_syntax``, ``filter_type``, ``closed``."""
        return self._native.count(_where(where))

    def stats(self) -> dict[str, Any]:
        """What the knowledge base holds: documents, chunks, version, embedder, dim, sizes in bytes."""
        return self._native.stats()

    def at(self, version: int) -> KnowledgeBase:
        """The knowledge base as it was at a version, for reading. Codes: ``unknown_id``, ``closed``."""
        return KnowledgeBase(self._native.at(version))

    def tenant(self, name: str) -> KnowledgeBase:
        """A handle that can neither see nor write anything but this tenant's documents."""
        return KnowledgeBase(self._native.tenant(name))

    def refresh(self) -> bool:
        """Takes over what other processes wrote since; says whether there was anything."""
        return self._native.refresh()

    def compact(self) -> None:
        """Rewrites what many small writes have left."""
        self._native.compact()

    def close(self) -> None:
        """Gives the writer's lock back. Further calls fail with code ``closed``."""
        self._native.close()

    def __enter__(self) -> KnowledgeBase:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _where(where: Where) -> str | dict[str, Any] | None:
    return dict(where) if isinstance(where, Mapping) else where
