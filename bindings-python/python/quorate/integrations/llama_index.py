"""How does LlamaIndex use quorate? Needs ``llama-index-core``.

>>> import tempfile
>>> from llama_index.core.schema import TextNode
>>> from llama_index.core.vector_stores.types import VectorStoreQuery
>>> folder = tempfile.TemporaryDirectory()
>>> store = QuorateVectorStore(path=folder.name, dim=2)
>>> store.add([TextNode(id_="a", text="up", embedding=[0.0, 1.0]), TextNode(id_="b", text="right", embedding=[1.0, 0.0])])
['a', 'b']
>>> store.query(VectorStoreQuery(query_embedding=[0.1, 0.9], similarity_top_k=1)).ids
['a']
>>> store.close(); folder.cleanup()
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import BaseNode, MetadataMode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

from .._errors import InvalidInput, NotFound, Unsupported
from .._kb import KnowledgeBase
from .._hits import Hits
from . import _where
from ._given import searchable
from ._lease import Lease

__all__ = ["QuorateVectorStore"]


class QuorateVectorStore(BasePydanticVectorStore):
    """A knowledge base as LlamaIndex's vector store; nodes bring embeddings of ``dim`` components.

    Modes of a query: ``default`` (vectors), ``text_search`` and ``sparse`` (words), ``hybrid`` and ``semantic_hybrid``
    (both; ``alpha`` is the weight of the vectors), ``mmr``. Filters may be nested; all operators but
    ``text_match_insensitive`` are known. A missing field is None, as in LlamaIndex's own store. Stores of one process with
    the same path share one handle.
    """

    stores_text: bool = True
    is_embedding_query: bool = True
    flat_metadata: bool = False
    path: str
    """The folder."""
    dim: int = 1536
    """Components of an embedding; looked at when the folder is new, and compared otherwise."""
    tenant: str | None = None
    """Whose documents to see; None for those of nobody in particular."""
    read_only: bool = False
    """Whether to take part in reading alone."""
    fusion: str = "convex"
    """How hybrid queries bring words and vectors together: ``convex``, ``rrf`` or ``dbsf``."""

    _lease: Lease | None = PrivateAttr(default=None)
    _opening: Any = PrivateAttr(default_factory=threading.Lock)

    @classmethod
    def class_name(cls) -> str:
        """The name in files."""
        return "QuorateVectorStore"

    @property
    def client(self) -> KnowledgeBase:
        """The knowledge base; opened at its first use."""
        with self._opening:
            if self._lease is None:
                self._lease = Lease(self.path, self.dim, self.tenant, self.read_only)
            return self._lease.kb

    def close(self) -> None:
        """Lets go of the knowledge base, which closes with its last store; the next use opens it again."""
        with self._opening:
            if self._lease is not None:
                self._lease.close()
                self._lease = None

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Adds nodes with their embeddings, or replaces those whose id exists; all or none. Returns their ids."""
        if nodes:
            self.client.upsert(list({node.node_id: _record(node) for node in nodes}.values()))
        return [node.node_id for node in nodes]

    async def async_add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """The asyncio twin of :meth:`add`."""
        return await asyncio.to_thread(lambda: self.add(nodes, **kwargs))

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Deletes the nodes of a document."""
        self.client.delete(where=f"{_where.meta('ref_doc_id')} = {_where.literal(ref_doc_id)}")

    async def adelete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """The asyncio twin of :meth:`delete`."""
        await asyncio.to_thread(self.delete, ref_doc_id)

    def delete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """Deletes nodes by id and by filter; with both, those that meet both. Nothing without either."""
        if node_ids is None and filters is None:
            return
        self.client.delete(where=_selection(node_ids=node_ids, filters=filters))

    async def adelete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """The asyncio twin of :meth:`delete_nodes`."""
        await asyncio.to_thread(self.delete_nodes, node_ids, filters)

    def clear(self) -> None:
        """Deletes every node."""
        self.client.delete(where=_where.NEVER.no)

    async def aclear(self) -> None:
        """The asyncio twin of :meth:`clear`."""
        await asyncio.to_thread(self.clear)

    def get_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """Nodes by id and by filter, oldest first, without embeddings; all of them without either."""
        found = self.client.ids(where=_selection(node_ids=node_ids, filters=filters))
        return [node for node in map(self._node, found) if node is not None]

    async def aget_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """The asyncio twin of :meth:`get_nodes`."""
        return await asyncio.to_thread(self.get_nodes, node_ids, filters)

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """The nodes that fit best, with their scores: cosines in mode ``default``, BM25 in ``text_search``, relevance less
        likeness in ``mmr``."""
        found = [(self._node(hit.doc_id), hit) for hit in self._hits(query)]
        kept = [(node, hit) for node, hit in found if node is not None]
        return VectorStoreQueryResult(
            nodes=[node for node, _ in kept],
            similarities=[hit.score for _, hit in kept],
            ids=[hit.doc_id for _, hit in kept],
        )

    async def aquery(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """The asyncio twin of :meth:`query`."""
        return await asyncio.to_thread(lambda: self.query(query, **kwargs))

    def _hits(self, query: VectorStoreQuery) -> Hits:
        mode = query.mode
        # An index over a store that keeps texts gives an empty list for "any".
        where = _selection(query.node_ids or None, query.filters, query.doc_ids or None)
        k = query.similarity_top_k
        if mode in (VectorStoreQueryMode.TEXT_SEARCH, VectorStoreQueryMode.SPARSE):
            k = query.sparse_top_k or k
            return self.client.search(_words(query), k=k, mode="lexical", where=where, group_by="doc")
        if mode in (VectorStoreQueryMode.HYBRID, VectorStoreQueryMode.SEMANTIC_HYBRID):
            alpha = 0.5 if query.alpha is None else query.alpha
            keywords: dict[str, Any] = {"where": where, "fusion": self.fusion, "alpha": alpha, "group_by": "doc"}
            return self.client.search(_words(query), vector=_vector(query), k=query.hybrid_top_k or k, **keywords)
        if mode == VectorStoreQueryMode.DEFAULT:
            return self.client.search_vector(_vector(query), k=k, where=where, group_by="doc")
        if mode == VectorStoreQueryMode.MMR:
            weight = 0.5 if query.mmr_threshold is None else query.mmr_threshold
            diverse: dict[str, Any] = {"rerank": "mmr", "rerank_depth": max(20, 4 * k), "mmr_lambda": weight}
            return self.client.search_vector(_vector(query), k=k, where=where, group_by="doc", **diverse)
        raise Unsupported(
            "unsupported",
            f"mode '{mode.value}'; known are default, text_search, sparse, hybrid, semantic_hybrid and mmr",
        )

    def _node(self, id: str) -> BaseNode | None:
        try:
            found = self.client.get(id)
        except NotFound:  # deleted meanwhile
            return None
        content, kind = found["metadata"][_RESERVED][0]
        return metadata_dict_to_node({"_node_content": content, "_node_type": kind}, text=found["text"])


_RESERVED = "_node"
"""The metadata member that holds what quorate's documents have no field for."""

_COMPARISONS = {
    FilterOperator.GT: (">", "<="),
    FilterOperator.GTE: (">=", "<"),
    FilterOperator.LT: ("<", ">="),
    FilterOperator.LTE: ("<=", ">"),
}


def _record(node: BaseNode) -> dict[str, Any]:
    record = searchable(node.node_id, node.get_content(metadata_mode=MetadataMode.NONE))
    record["vector"] = node.get_embedding()
    fields = node_to_metadata_dict(node, remove_text=True)
    # Within two lists it is kept, but no filter can name it, so that it takes no room in their columns.
    fields[_RESERVED] = [[fields.pop("_node_content"), fields.pop("_node_type")]]
    record["metadata"] = fields
    return record


def _words(query: VectorStoreQuery) -> str:
    if query.query_str is None:
        raise InvalidInput("invalid_argument", f"a query in mode '{query.mode.value}' needs query_str")
    return query.query_str


def _vector(query: VectorStoreQuery) -> list[float]:
    if query.query_embedding is None:
        raise InvalidInput("invalid_argument", f"a query in mode '{query.mode.value}' needs query_embedding")
    return query.query_embedding


def _selection(
    node_ids: Sequence[str] | None = None,
    filters: MetadataFilters | None = None,
    doc_ids: Sequence[str] | None = None,
) -> str | None:
    tests = []
    if node_ids is not None:
        tests.append(_where.one_of(_where.own("id"), node_ids))
    if doc_ids is not None:
        tests.append(_where.one_of(_where.meta("ref_doc_id"), doc_ids))
    if filters is not None and filters.filters:
        tests.append(_filters(filters))
    return _where.both(tests).yes if tests else None


def _filters(filters: MetadataFilters) -> _where.Test:
    tests = [_filters(one) if isinstance(one, MetadataFilters) else _filter(one) for one in filters.filters]
    if filters.condition == FilterCondition.OR:
        return _where.either(tests)
    if filters.condition == FilterCondition.NOT:
        return ~_where.either(tests)
    return _where.both(tests)


def _filter(one: MetadataFilter) -> _where.Test:
    field, operator, value = _where.meta(one.key), one.operator, one.value
    if operator == FilterOperator.IS_EMPTY:
        return _where.missing(field)
    if operator in (FilterOperator.EQ, FilterOperator.NE):
        equal = _where.one_of(field, [value])
        return equal if operator == FilterOperator.EQ else ~equal
    if operator in (FilterOperator.IN, FilterOperator.NIN):
        member = _where.one_of(field, _list(one))
        return member if operator == FilterOperator.IN else ~member
    if operator in (FilterOperator.ANY, FilterOperator.ALL):
        tests = [_contains(field, item) for item in _list(one)]
        return _where.either(tests) if operator == FilterOperator.ANY else _where.both(tests)
    if operator == FilterOperator.CONTAINS:
        return _contains(field, value)
    if operator in _COMPARISONS:
        holds, fails = _COMPARISONS[operator]
        return _where.test(field, f"{holds} {_where.literal(value)}", f"{fails} {_where.literal(value)}")
    if operator == FilterOperator.TEXT_MATCH and isinstance(value, str):
        return _where.test(field, f"LIKE {_where.pattern(value)}", f"NOT LIKE {_where.pattern(value)}")
    raise Unsupported("unsupported", f"the operator '{operator.value}' with {value!r}; see QuorateVectorStore")


def _contains(field: str, value: Any) -> _where.Test:
    return _where.test(field, f"CONTAINS {_where.literal(value)}", f"NOT CONTAINS {_where.literal(value)}")


def _list(one: MetadataFilter) -> Sequence[Any]:
    if not isinstance(one.value, list):
        raise InvalidInput("filter_type", f"'{one.operator.value}' on '{one.key}' needs a list, not {one.value!r}")
    return one.value
