"""How is a knowledge base a document store of Haystack?"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal

from haystack import Document, default_from_dict, default_to_dict
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy

from ..._errors import Conflict, NotFound
from ..._kb import KnowledgeBase
from ..._quorate import Hit
from .. import _where
from .._lease import Lease
from .filters import Filters, filtering, test, where
from .records import EMBEDDED, document, record


class QuorateDocumentStore:
    """A knowledge base as Haystack's document store.

    ``path``: the folder. Without ``embedder`` the documents bring embeddings of ``embedding_dim`` components, as
    Haystack's embedders make them, and a document without one is found by its words alone. With ``embedder``
    (``"builtin"`` or a model folder) quorate embeds what has no embedding, cuts long texts, and queries need no embedding.

    Stores of one process with the same path share one handle, as pipelines need that are read from files.

    Filters on a missing field follow Haystack: it is None. Strings are ordered as text, which for dates of one format is
    their order in time.
    """

    def __init__(
        self,
        path: str,
        *,
        embedding_dim: int = 768,
        embedder: str | None = None,
        tenant: str | None = None,
        read_only: bool = False,
    ) -> None:
        self.path = path
        self.embedding_dim = embedding_dim
        self.embedder = embedder
        self.tenant = tenant
        self.read_only = read_only
        self._lease: Lease | None = None
        self._opening = threading.Lock()

    @property
    def kb(self) -> KnowledgeBase:
        """The knowledge base; opened at its first use."""
        with self._opening:
            if self._lease is None:
                self._lease = Lease(self.path, self.embedder or self.embedding_dim, self.tenant, self.read_only)
            return self._lease.kb

    def close(self) -> None:
        """Lets go of the knowledge base, which closes with its last store; the next use opens it again."""
        with self._opening:
            if self._lease is not None:
                self._lease.close()
                self._lease = None

    def to_dict(self) -> dict[str, Any]:
        """The store's description, for pipelines in files."""
        return default_to_dict(
            self,
            path=self.path,
            embedding_dim=self.embedding_dim,
            embedder=self.embedder,
            tenant=self.tenant,
            read_only=self.read_only,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> QuorateDocumentStore:
        """A store from its description."""
        store: QuorateDocumentStore = default_from_dict(cls, data)
        return store

    def count_documents(self) -> int:
        """How many documents there are."""
        return self.kb.count()

    def filter_documents(self, filters: Filters | None = None) -> list[Document]:
        """The documents that match, oldest first. Raises ``FilterError`` for a filter that makes no sense."""
        found = []
        for id in self._ids(filters):
            try:
                found.append(document(self.kb.get(id)))
            except NotFound:  # deleted meanwhile
                continue
        return found

    def write_documents(self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE) -> int:
        """Writes documents, all of them or none, and returns how many.

        ``NONE`` is ``FAIL``: an id that exists raises ``DuplicateDocumentError``.
        """
        if not isinstance(documents, list) or any(not isinstance(one, Document) for one in documents):
            raise ValueError("documents is not a list of haystack.Document")
        if policy == DuplicatePolicy.OVERWRITE:
            latest = {one.id: one for one in documents}
            self.kb.upsert([self._record(one) for one in latest.values()])
            return len(documents)
        if policy == DuplicatePolicy.SKIP:
            first: dict[str, Document] = {}
            for one in documents:
                first.setdefault(one.id, one)
            for id in self.kb.ids(where=_where.one_of(_where.own("id"), first).yes):
                del first[id]
            documents = list(first.values())
        try:
            return self.kb.add([self._record(one) for one in documents]).added if documents else 0
        except Conflict as error:
            if error.code == "duplicate_id":
                raise DuplicateDocumentError(str(error)) from error
            raise

    def delete_documents(self, document_ids: list[str]) -> None:
        """Deletes documents by id; ids that are not there are passed over."""
        if document_ids:
            self.kb.delete(document_ids)

    def delete_all_documents(self, recreate_index: bool = False) -> None:
        """Deletes every document. With ``recreate_index`` the disk keeps nothing of them, past versions neither."""
        self.kb.delete(where=_where.NEVER.no)
        if recreate_index:
            self.kb.compact()

    def delete_by_filter(self, filters: Filters) -> int:
        """Deletes the documents that match, and returns how many there were."""
        return filtering(lambda: self.kb.delete(where=where(filters)))

    def update_by_filter(self, filters: Filters, meta: dict[str, Any]) -> int:
        """Sets fields of ``meta`` in the documents that match, and returns how many there were."""
        ids = self._ids(filters)
        for id in ids:
            self.kb.update_metadata(id, {**self.kb.get(id)["metadata"], **meta})
        return len(ids)

    def count_documents_by_filter(self, filters: Filters) -> int:
        """How many documents match."""
        return filtering(lambda: self.kb.count(where=where(filters)))

    def count_unique_metadata_by_filter(self, filters: Filters, metadata_fields: list[str]) -> dict[str, int]:
        """How many values each field has among the documents that match."""
        rows = self._metadata(filters)
        return {_bare(field): len(_distinct(rows, _bare(field))) for field in metadata_fields}

    def get_metadata_fields_info(self) -> dict[str, dict[str, str]]:
        """The fields of the metadata, each with its ``type``."""
        kinds: dict[str, set[str]] = {}
        for row in self._metadata(None):
            for name, value in row.items():
                if value is not None:
                    kinds.setdefault(name, set()).add(_TYPES.get(type(value), "text"))
        return {name: {"type": found.pop() if len(found) == 1 else "mixed"} for name, found in kinds.items()}

    def get_metadata_field_min_max(self, metadata_field: str) -> dict[str, Any]:
        """The least and the greatest value of a field."""
        values = [value for value in _values(self._metadata(None), _bare(metadata_field)) if value is not None]
        return {"min": min(values), "max": max(values)} if values else {"min": None, "max": None}

    def get_metadata_field_unique_values(
        self,
        metadata_field: str,
        search_term: str | None = None,
        from_: int = 0,
        size: int = 10,
        filters: Filters | None = None,
    ) -> tuple[list[Any], int]:
        """The values of a field in order, ``size`` of them from ``from_`` on, and how many there are.

        ``search_term``: only values that contain it, in any case.
        """
        values = _distinct(self._metadata(filters), _bare(metadata_field))
        if search_term:
            values = [value for value in values if search_term.casefold() in str(value).casefold()]
        values.sort(key=lambda value: (type(value).__name__, value))
        return values[from_ : from_ + size], len(values)

    def embedding_retrieval(
        self,
        query_embedding: list[float],
        *,
        filters: Filters | None = None,
        top_k: int = 10,
        return_embedding: bool = False,
    ) -> list[Document]:
        """The documents nearest to a vector by cosine; those without an embedding are left out."""
        if not query_embedding:
            raise ValueError("query_embedding is empty; a vector is expected")
        embedded = _where.both([EMBEDDED, test(filters)] if filters else [EMBEDDED]).yes
        hits = filtering(lambda: self.kb.search_vector(query_embedding, k=top_k, where=embedded, group_by="doc"))
        return self._found(hits, return_embedding)

    def bm25_retrieval(self, query: str, *, filters: Filters | None = None, top_k: int = 10) -> list[Document]:
        """The documents whose words fit best."""
        chosen = where(filters)
        hits = filtering(lambda: self.kb.search(query, k=top_k, mode="lexical", where=chosen, group_by="doc"))
        return self._found(hits, False)

    def hybrid_retrieval(
        self,
        query: str,
        query_embedding: list[float] | None = None,
        *,
        filters: Filters | None = None,
        top_k: int = 10,
        fusion: Literal["convex", "rrf", "dbsf"] = "convex",
        alpha: float = 0.5,
        return_embedding: bool = False,
    ) -> list[Document]:
        """The documents whose words and meaning fit best.

        ``query_embedding`` may be left out when quorate embeds. ``fusion`` and ``alpha`` as in
        :meth:`quorate.KnowledgeBase.search`.
        """
        if query_embedding is None and self.embedder is None:
            raise ValueError("query_embedding is missing; this store holds embeddings that its host computes")
        keywords: dict[str, Any] = {"k": top_k, "where": where(filters), "fusion": fusion, "alpha": alpha, "group_by": "doc"}
        hits = filtering(lambda: self.kb.search(query, vector=query_embedding, **keywords))
        return self._found(hits, return_embedding)

    async def count_documents_async(self) -> int:
        """The asyncio twin of :meth:`count_documents`."""
        return await asyncio.to_thread(self.count_documents)

    async def filter_documents_async(self, filters: Filters | None = None) -> list[Document]:
        """The asyncio twin of :meth:`filter_documents`."""
        return await asyncio.to_thread(self.filter_documents, filters)

    async def write_documents_async(
        self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
    ) -> int:
        """The asyncio twin of :meth:`write_documents`."""
        return await asyncio.to_thread(self.write_documents, documents, policy)

    async def delete_documents_async(self, document_ids: list[str]) -> None:
        """The asyncio twin of :meth:`delete_documents`."""
        await asyncio.to_thread(self.delete_documents, document_ids)

    async def delete_all_documents_async(self, recreate_index: bool = False) -> None:
        """The asyncio twin of :meth:`delete_all_documents`."""
        await asyncio.to_thread(self.delete_all_documents, recreate_index)

    async def delete_by_filter_async(self, filters: Filters) -> int:
        """The asyncio twin of :meth:`delete_by_filter`."""
        return await asyncio.to_thread(self.delete_by_filter, filters)

    async def update_by_filter_async(self, filters: Filters, meta: dict[str, Any]) -> int:
        """The asyncio twin of :meth:`update_by_filter`."""
        return await asyncio.to_thread(self.update_by_filter, filters, meta)

    async def count_documents_by_filter_async(self, filters: Filters) -> int:
        """The asyncio twin of :meth:`count_documents_by_filter`."""
        return await asyncio.to_thread(self.count_documents_by_filter, filters)

    async def count_unique_metadata_by_filter_async(
        self, filters: Filters, metadata_fields: list[str]
    ) -> dict[str, int]:
        """The asyncio twin of :meth:`count_unique_metadata_by_filter`."""
        return await asyncio.to_thread(self.count_unique_metadata_by_filter, filters, metadata_fields)

    async def get_metadata_fields_info_async(self) -> dict[str, dict[str, str]]:
        """The asyncio twin of :meth:`get_metadata_fields_info`."""
        return await asyncio.to_thread(self.get_metadata_fields_info)

    async def get_metadata_field_min_max_async(self, metadata_field: str) -> dict[str, Any]:
        """The asyncio twin of :meth:`get_metadata_field_min_max`."""
        return await asyncio.to_thread(self.get_metadata_field_min_max, metadata_field)

    async def get_metadata_field_unique_values_async(
        self,
        metadata_field: str,
        search_term: str | None = None,
        from_: int = 0,
        size: int = 10,
        filters: Filters | None = None,
    ) -> tuple[list[Any], int]:
        """The asyncio twin of :meth:`get_metadata_field_unique_values`."""
        return await asyncio.to_thread(
            self.get_metadata_field_unique_values, metadata_field, search_term, from_, size, filters
        )

    async def embedding_retrieval_async(self, query_embedding: list[float], **keywords: Any) -> list[Document]:
        """The asyncio twin of :meth:`embedding_retrieval`."""
        return await asyncio.to_thread(lambda: self.embedding_retrieval(query_embedding, **keywords))

    async def bm25_retrieval_async(self, query: str, **keywords: Any) -> list[Document]:
        """The asyncio twin of :meth:`bm25_retrieval`."""
        return await asyncio.to_thread(lambda: self.bm25_retrieval(query, **keywords))

    async def hybrid_retrieval_async(
        self, query: str, query_embedding: list[float] | None = None, **keywords: Any
    ) -> list[Document]:
        """The asyncio twin of :meth:`hybrid_retrieval`."""
        return await asyncio.to_thread(lambda: self.hybrid_retrieval(query, query_embedding, **keywords))

    def _ids(self, filters: Filters | None) -> list[str]:
        return filtering(lambda: self.kb.ids(where=where(filters)))

    def _metadata(self, filters: Filters | None) -> list[dict[str, Any]]:
        return [one.meta for one in self.filter_documents(filters)]

    def _found(self, hits: Iterable[Hit], return_embedding: bool) -> list[Document]:
        found = []
        for hit in hits:
            try:
                whole = document(self.kb.get(hit.doc_id))
            except NotFound:  # deleted meanwhile
                continue
            found.append(replace(whole, score=hit.score, embedding=whole.embedding if return_embedding else None))
        return found

    def _record(self, one: Document) -> dict[str, Any]:
        return record(one, None if self.embedder else self.embedding_dim)


_TYPES = {bool: "boolean", int: "int", float: "float", str: "keyword", list: "list"}


def _bare(field: str) -> str:
    return field.removeprefix("meta.")


def _values(rows: Iterable[Mapping[str, Any]], path: str) -> Iterable[Any]:
    for row in rows:
        value: Any = row
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        yield value


def _distinct(rows: Iterable[Mapping[str, Any]], path: str) -> list[Any]:
    """The values that are there, each once; 1, 1.0, "1" and True are four values."""
    found: dict[tuple[str, str], Any] = {}
    for value in _values(rows, path):
        if value is not None:
            found.setdefault((type(value).__name__, json.dumps(value)), value)
    return list(found.values())
