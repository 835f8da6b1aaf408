"""How does a pipeline of Haystack search a knowledge base?"""

from __future__ import annotations

from typing import Any

from haystack import Document, component, default_from_dict, default_to_dict
from haystack.document_stores.types import FilterPolicy, apply_filter_policy

from .filters import Filters
from .store import QuorateDocumentStore


class _Retriever:
    """What the three retrievers share: the store, its filters, and how they are written to a file."""

    def __init__(
        self, document_store: QuorateDocumentStore, filters: Filters | None, top_k: int, policy: str | FilterPolicy
    ) -> None:
        if not isinstance(document_store, QuorateDocumentStore):
            raise TypeError("document_store is not a QuorateDocumentStore")
        self.document_store = document_store
        self.filters = filters or {}
        self.top_k = top_k
        self.filter_policy = policy if isinstance(policy, FilterPolicy) else FilterPolicy.from_str(policy)

    def _options(self, filters: Filters | None, top_k: int | None) -> dict[str, Any]:
        return {
            "filters": apply_filter_policy(self.filter_policy, self.filters, filters),
            "top_k": self.top_k if top_k is None else top_k,
        }

    def _described(self, **more: Any) -> dict[str, Any]:
        return default_to_dict(
            self,
            document_store=self.document_store.to_dict(),
            filters=self.filters,
            top_k=self.top_k,
            filter_policy=self.filter_policy.value,
            **more,
        )

    @classmethod
    def _made(cls, data: dict[str, Any]) -> Any:
        parameters = dict(data["init_parameters"])
        parameters["document_store"] = QuorateDocumentStore.from_dict(parameters["document_store"])
        return default_from_dict(cls, {**data, "init_parameters": parameters})


@component
class QuorateEmbeddingRetriever(_Retriever):
    """Retrieves the documents nearest to the embedding of a query."""

    def __init__(
        self,
        document_store: QuorateDocumentStore,
        *,
        filters: Filters | None = None,
        top_k: int = 10,
        filter_policy: str | FilterPolicy = FilterPolicy.REPLACE,
        return_embedding: bool = False,
    ) -> None:
        # The decorator makes the class anew, so that ``super()`` would name another one.
        _Retriever.__init__(self, document_store, filters, top_k, filter_policy)
        self.return_embedding = return_embedding

    def to_dict(self) -> dict[str, Any]:
        """The component's description."""
        return self._described(return_embedding=self.return_embedding)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> QuorateEmbeddingRetriever:
        """A component from its description."""
        made: QuorateEmbeddingRetriever = cls._made(data)
        return made

    @component.output_types(documents=list[Document])
    def run(
        self, query_embedding: list[float], filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """The ``documents`` nearest to ``query_embedding``."""
        options = {**self._options(filters, top_k), "return_embedding": self.return_embedding}
        return {"documents": self.document_store.embedding_retrieval(query_embedding, **options)}

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query_embedding: list[float], filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """The asyncio twin of :meth:`run`."""
        options = {**self._options(filters, top_k), "return_embedding": self.return_embedding}
        return {"documents": await self.document_store.embedding_retrieval_async(query_embedding, **options)}


@component
class QuorateBM25Retriever(_Retriever):
    """Retrieves the documents whose words fit a query best."""

    def __init__(
        self,
        document_store: QuorateDocumentStore,
        *,
        filters: Filters | None = None,
        top_k: int = 10,
        filter_policy: str | FilterPolicy = FilterPolicy.REPLACE,
    ) -> None:
        # The decorator makes the class anew, so that ``super()`` would name another one.
        _Retriever.__init__(self, document_store, filters, top_k, filter_policy)

    def to_dict(self) -> dict[str, Any]:
        """The component's description."""
        return self._described()

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> QuorateBM25Retriever:
        """A component from its description."""
        made: QuorateBM25Retriever = cls._made(data)
        return made

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """The ``documents`` whose words fit ``query`` best."""
        return {"documents": self.document_store.bm25_retrieval(query, **self._options(filters, top_k))}

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """The asyncio twin of :meth:`run`."""
        return {"documents": await self.document_store.bm25_retrieval_async(query, **self._options(filters, top_k))}


@component
class QuorateHybridRetriever(_Retriever):
    """Retrieves the documents whose words and meaning fit a query best."""

    def __init__(
        self,
        document_store: QuorateDocumentStore,
        *,
        filters: Filters | None = None,
        top_k: int = 10,
        filter_policy: str | FilterPolicy = FilterPolicy.REPLACE,
        fusion: str = "convex",
        alpha: float = 0.5,
        return_embedding: bool = False,
    ) -> None:
        # The decorator makes the class anew, so that ``super()`` would name another one.
        _Retriever.__init__(self, document_store, filters, top_k, filter_policy)
        self.fusion = fusion
        self.alpha = alpha
        self.return_embedding = return_embedding

    def to_dict(self) -> dict[str, Any]:
        """The component's description."""
        return self._described(**self._fusing())

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> QuorateHybridRetriever:
        """A component from its description."""
        made: QuorateHybridRetriever = cls._made(data)
        return made

    @component.output_types(documents=list[Document])
    def run(
        self,
        query: str,
        query_embedding: list[float] | None = None,
        filters: dict[str, Any] | None = None,
        top_k: int | None = None,
    ) -> dict[str, list[Document]]:
        """The ``documents`` that fit ``query`` best; without ``query_embedding`` the store embeds it."""
        options = {**self._options(filters, top_k), **self._fusing()}
        return {"documents": self.document_store.hybrid_retrieval(query, query_embedding, **options)}

    @component.output_types(documents=list[Document])
    async def run_async(
        self,
        query: str,
        query_embedding: list[float] | None = None,
        filters: dict[str, Any] | None = None,
        top_k: int | None = None,
    ) -> dict[str, list[Document]]:
        """The asyncio twin of :meth:`run`."""
        options = {**self._options(filters, top_k), **self._fusing()}
        return {"documents": await self.document_store.hybrid_retrieval_async(query, query_embedding, **options)}

    def _fusing(self) -> dict[str, Any]:
        return {"fusion": self.fusion, "alpha": self.alpha, "return_embedding": self.return_embedding}
