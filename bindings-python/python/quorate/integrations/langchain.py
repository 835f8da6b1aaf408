"""How does LangChain use quorate? Needs ``langchain-core``.

>>> from langchain_core.documents import Document
>>> store = QuorateVectorStore.from_texts(["Metformin lowers glucose.", "The sky is blue."], ids=["a", "b"])
>>> [document.id for document in store.similarity_search("blood sugar and metformin", k=1)]
['a']
>>> store.close()
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import uuid
import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import VectorStore

from .._errors import InvalidInput, NotFound
from .._kb import KnowledgeBase, Where, open
from .._quorate import Embedder, Hit
from ._chat import ChatQuorate
from ._given import given_vectors, searchable

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

__all__ = ["ChatQuorate", "QuorateEmbeddings", "QuorateRetriever", "QuorateVectorStore"]


class QuorateEmbeddings(Embeddings):
    """A model of quorate as LangChain's ``Embeddings``: ``"builtin"``, a model folder, or an :class:`quorate.Embedder`."""

    def __init__(self, model: Embedder | str | os.PathLike[str] = "builtin", **options: Any) -> None:
        self.embedder = model if isinstance(model, Embedder) else Embedder(model, **options)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One vector of unit length for each text."""
        vectors: list[list[float]] = self.embedder.embed(texts).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """The vector of a query."""
        vector: list[float] = self.embedder.embed_query(text).tolist()
        return vector

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """One vector of unit length for each text, computed beside the event loop."""
        return await asyncio.to_thread(self.embed_documents, texts)

    async def aembed_query(self, text: str) -> list[float]:
        """The vector of a query, computed beside the event loop."""
        return await asyncio.to_thread(self.embed_query, text)


class QuorateVectorStore(VectorStore):
    """A knowledge base as LangChain's vector store.

    ``place``: a folder, or a :class:`quorate.KnowledgeBase` that is open. ``embedding``: None for the model of the
    knowledge base (the built-in one for a new folder), or any ``Embeddings``; then each document is one piece with that
    vector. ``mode``: how ``similarity_search`` searches, ``dense``, ``hybrid`` or ``lexical``.

    Searches take ``filter`` (quorate's ``where``) and the further keywords of :meth:`quorate.KnowledgeBase.search`.
    Scores are those of quorate: higher is better, the cosine in mode ``dense``.
    """

    def __init__(
        self,
        place: KnowledgeBase | str | os.PathLike[str],
        embedding: Embeddings | None = None,
        *,
        tenant: str | None = None,
        read_only: bool = False,
        mode: str = "dense",
    ) -> None:
        self._embedding = embedding
        self._mode = mode
        self._discard: weakref.finalize[..., QuorateVectorStore] | None = None
        self._borrowed = embedding is not None and not isinstance(embedding, QuorateEmbeddings)
        if isinstance(place, KnowledgeBase):
            self.kb = place
        else:
            model: Any = None
            if isinstance(embedding, QuorateEmbeddings):
                model = embedding.embedder
            elif embedding is not None:
                model = given_vectors(len(embedding.embed_query("dimension")), _name(embedding))
            self.kb = open(place, embedder=model, tenant=tenant, read_only=read_only)

    @property
    def embeddings(self) -> Embeddings | None:
        """The model that was given."""
        return self._embedding

    def close(self) -> None:
        """Closes the knowledge base."""
        self.kb.close()
        if self._discard is not None:
            self._discard()

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Adds texts, or replaces those whose id exists; all of them or none. Returns their ids."""
        documents = _documents(_strings(texts, "texts"), metadatas, ids)
        if documents:
            vectors = None
            if self._borrowed and self._embedding:
                vectors = self._embedding.embed_documents([document["text"] for document in documents])
            self.kb.upsert(_last(documents, vectors))
        return [document["id"] for document in documents]

    async def aadd_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """The asyncio twin of :meth:`add_texts`."""
        documents = _documents(_strings(texts, "texts"), metadatas, ids)
        if documents:
            vectors = None
            if self._borrowed and self._embedding:
                vectors = await self._embedding.aembed_documents([document["text"] for document in documents])
            await self.kb.aio.upsert(_last(documents, vectors))
        return [document["id"] for document in documents]

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        """Deletes documents by id; all of them without ``ids``. Ids that are not there are passed over."""
        if ids is None:
            self.kb.delete(where=_ALL)
        elif ids:
            self.kb.delete(ids)
        return True

    async def adelete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        """The asyncio twin of :meth:`delete`."""
        if ids is None:
            await self.kb.aio.delete(where=_ALL)
        elif ids:
            await self.kb.aio.delete(ids)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents with these ids, without those that are not there."""
        found = []
        for id in dict.fromkeys(_strings(ids, "ids")):
            try:
                found.append(_document(self.kb.get(id)))
            except NotFound:
                continue
        return found

    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The asyncio twin of :meth:`get_by_ids`."""
        found = []
        for id in dict.fromkeys(_strings(ids, "ids")):
            try:
                found.append(_document(await self.kb.aio.get(id)))
            except NotFound:
                continue
        return found

    def similarity_search(self, query: str, k: int = 4, filter: Where = None, **kwargs: Any) -> list[Document]:
        """The ``k`` documents that fit the query best, whole, best first."""
        return [document for document, _ in self.similarity_search_with_score(query, k, filter=filter, **kwargs)]

    async def asimilarity_search(self, query: str, k: int = 4, filter: Where = None, **kwargs: Any) -> list[Document]:
        """The asyncio twin of :meth:`similarity_search`."""
        found = await self.asimilarity_search_with_score(query, k, filter=filter, **kwargs)
        return [document for document, _ in found]

    def similarity_search_with_score(
        self, query: str, k: int = 4, filter: Where = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The ``k`` best documents with their scores."""
        keywords = self._keywords(k, filter, kwargs)
        return self._whole(self.kb.search(query, vector=self._vector(query, keywords), **keywords))

    async def asimilarity_search_with_score(
        self, query: str, k: int = 4, filter: Where = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The asyncio twin of :meth:`similarity_search_with_score`."""
        keywords = self._keywords(k, filter, kwargs)
        vector = await self._avector(query, keywords)
        return await self._awhole(await self.kb.aio.search(query, vector=vector, **keywords))

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, filter: Where = None, **kwargs: Any
    ) -> list[Document]:
        """The ``k`` documents whose vectors are most similar to this one."""
        hits = self.kb.search_vector(_array(embedding), k=k, where=filter, group_by="doc", **kwargs)
        return [document for document, _ in self._whole(hits)]

    async def asimilarity_search_by_vector(
        self, embedding: list[float], k: int = 4, filter: Where = None, **kwargs: Any
    ) -> list[Document]:
        """The asyncio twin of :meth:`similarity_search_by_vector`."""
        hits = await self.kb.aio.search_vector(_array(embedding), k=k, where=filter, group_by="doc", **kwargs)
        return [document for document, _ in await self._awhole(hits)]

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Where = None,
        **kwargs: Any,
    ) -> list[Document]:
        """``k`` of the ``fetch_k`` best documents, each weighed against its likeness to those chosen before.

        ``lambda_mult``: 1 for the best alone, 0 for the most different, as ``mmr_lambda`` of
        :meth:`quorate.KnowledgeBase.search`.
        """
        keywords = {**self._keywords(k, filter, kwargs), **_diverse(fetch_k, lambda_mult)}
        hits = self.kb.search(query, vector=self._vector(query, keywords), **keywords)
        return [document for document, _ in self._whole(hits)]

    async def amax_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Where = None,
        **kwargs: Any,
    ) -> list[Document]:
        """The asyncio twin of :meth:`max_marginal_relevance_search`."""
        keywords = {**self._keywords(k, filter, kwargs), **_diverse(fetch_k, lambda_mult)}
        hits = await self.kb.aio.search(query, vector=await self._avector(query, keywords), **keywords)
        return [document for document, _ in await self._awhole(hits)]

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Where = None,
        **kwargs: Any,
    ) -> list[Document]:
        """As :meth:`max_marginal_relevance_search`, from a vector."""
        keywords = {"group_by": "doc", **kwargs, **_diverse(fetch_k, lambda_mult)}
        hits = self.kb.search_vector(_array(embedding), k=k, where=filter, **keywords)
        return [document for document, _ in self._whole(hits)]

    async def amax_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Where = None,
        **kwargs: Any,
    ) -> list[Document]:
        """The asyncio twin of :meth:`max_marginal_relevance_search_by_vector`."""
        keywords = {"group_by": "doc", **kwargs, **_diverse(fetch_k, lambda_mult)}
        hits = await self.kb.aio.search_vector(_array(embedding), k=k, where=filter, **keywords)
        return [document for document, _ in await self._awhole(hits)]

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | None = None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        place: KnowledgeBase | str | os.PathLike[str] | None = None,
        **kwargs: Any,
    ) -> QuorateVectorStore:
        """A store with these texts. Without ``place`` it lives in a temporary folder, as long as the store."""
        if place is not None:
            store = cls(place, embedding, **kwargs)
        else:
            folder = tempfile.mkdtemp(prefix="quorate-")
            store = cls(folder, embedding, **kwargs)
            store._discard = weakref.finalize(store, _discard, store.kb, folder)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    @classmethod
    async def afrom_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | None = None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        place: KnowledgeBase | str | os.PathLike[str] | None = None,
        **kwargs: Any,
    ) -> QuorateVectorStore:
        """The asyncio twin of :meth:`from_texts`."""
        return await asyncio.to_thread(cls.from_texts, texts, embedding, metadatas, ids=ids, place=place, **kwargs)

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        """Scores of 0 to 1: the convex fusion gives such, a cosine is shifted, BM25 has no upper end."""
        if self._mode == "dense":
            return lambda cosine: min(1.0, max(0.0, (1.0 + cosine) / 2.0))
        if self._mode == "hybrid":
            return lambda score: min(1.0, max(0.0, score))
        raise NotImplementedError("BM25 has no upper end, so it gives no relevance between 0 and 1; use another mode")

    def _keywords(self, k: int, filter: Where, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"mode": self._mode, "group_by": "doc", **given, "k": k, "where": filter}

    def _vector(self, query: str, keywords: Mapping[str, Any]) -> Any:
        """The query's vector, where the model is LangChain's and the search needs it."""
        if self._embedding is None or not self._borrowed or keywords["mode"] == "lexical":
            return None
        return _array(self._embedding.embed_query(query))

    async def _avector(self, query: str, keywords: Mapping[str, Any]) -> Any:
        if self._embedding is None or not self._borrowed or keywords["mode"] == "lexical":
            return None
        return _array(await self._embedding.aembed_query(query))

    def _whole(self, hits: Iterable[Hit]) -> list[tuple[Document, float]]:
        return [(_document(self.kb.get(hit.doc_id)), hit.score) for hit in hits]

    async def _awhole(self, hits: Iterable[Hit]) -> list[tuple[Document, float]]:
        return [(_document(await self.kb.aio.get(hit.doc_id)), hit.score) for hit in hits]


class QuorateRetriever(BaseRetriever):
    """The best pieces of a knowledge base as LangChain's retriever, with where each stands in its document.

    Fields are the keywords of :meth:`quorate.KnowledgeBase.search`; each can be given to ``invoke`` too. A document's
    metadata gains ``doc_id``, ``start``, ``end`` and ``score``, and ``title`` and ``source`` where there are any.
    """

    kb: KnowledgeBase
    """The knowledge base."""
    k: int = 4
    """How many pieces."""
    mode: str = "hybrid"
    """``hybrid``, ``dense`` or ``lexical``."""
    where: Any = None
    """A filter, as text or as a dict."""
    fusion: str = "convex"
    """``convex``, ``rrf`` or ``dbsf``."""
    alpha: float = 0.5
    """The weight of the dense leg, 0 to 1."""
    rerank: Any = None
    """None, ``mmr``, ``late``, a cross-encoder or a callable."""
    group_by: str | None = None
    """``doc``: the best piece of each document."""
    min_score: float | None = None
    """Only pieces with at least this score."""

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        return [_piece(hit) for hit in self.kb.search(query, **self._keywords(kwargs))]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        return [_piece(hit) for hit in await self.kb.aio.search(query, **self._keywords(kwargs))]

    def _keywords(self, given: Mapping[str, Any]) -> dict[str, Any]:
        names = ("k", "mode", "where", "fusion", "alpha", "rerank", "group_by", "min_score")
        own = {name: getattr(self, name) for name in names}
        return {name: value for name, value in {**own, **given}.items() if value is not None}


_ALL = "id IS NOT NULL"


def _diverse(depth: int, weight: float) -> dict[str, Any]:
    """The keywords of a search for variety among the ``depth`` best."""
    return {"rerank": "mmr", "rerank_depth": depth, "mmr_lambda": weight}


def _discard(kb: KnowledgeBase, folder: str) -> None:
    kb.close()
    shutil.rmtree(folder, ignore_errors=True)


def _name(embeddings: Embeddings) -> str:
    """What tells a model from others, as far as it says so."""
    kind = type(embeddings)
    names = (getattr(embeddings, name, None) for name in ("model", "model_name", "model_id"))
    return f"langchain:{kind.__module__}.{kind.__qualname__}:{next((name for name in names if isinstance(name, str)), '')}"


def _array(vectors: Any) -> npt.NDArray[np.float32]:
    import numpy as np

    return np.asarray(vectors, dtype=np.float32)


def _documents(
    texts: list[str],
    metadatas: list[dict[str, Any]] | None,
    ids: Sequence[str | None] | None,
) -> list[dict[str, Any]]:
    if metadatas is not None:
        metadatas = _items(metadatas, "metadatas")
    if ids is not None:
        ids = _items(ids, "ids")
    for name, given in (("metadatas", metadatas), ("ids", ids)):
        if given is not None and len(given) != len(texts):
            message = f"{len(given)} {name} are given for {len(texts)} texts; give one for each text"
            raise InvalidInput("invalid_argument", message)
    for i, metadata in enumerate(metadatas or ()):
        if metadata is not None and not isinstance(metadata, Mapping):
            raise _unexpected(f"metadatas[{i}]", metadata, "a dict")
    for i, id in enumerate(ids or ()):
        if id is not None and not isinstance(id, str):
            raise _unexpected(f"ids[{i}]", id, "a str")
    documents = []
    for i, text in enumerate(texts):
        id = (ids[i] if ids else None) or str(uuid.uuid4())
        document = searchable(id, text)
        document["metadata"] = dict(metadatas[i] or {}) if metadatas else {}
        documents.append(document)
    return documents


def _items(given: Any, name: str) -> list[Any]:
    """The items of a list; one text is none."""
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise _unexpected(name, given, "a list")
    return list(given)


def _strings(given: Any, name: str) -> list[str]:
    items = _items(given, name)
    for i, item in enumerate(items):
        if not isinstance(item, str):
            raise _unexpected(f"{name}[{i}]", item, "a str")
    return items


def _unexpected(name: str, given: Any, expected: str) -> InvalidInput:
    return InvalidInput("invalid_argument", f"{name} is of type {type(given).__name__}; {expected} is expected")


def _last(documents: list[dict[str, Any]], vectors: list[list[float]] | None) -> list[dict[str, Any]]:
    """The last document of each id, with its vector."""
    if vectors is not None:
        for document, vector in zip(documents, vectors, strict=True):
            document["vector"] = _array(vector)
    return list({document["id"]: document for document in documents}.values())


def _document(found: Mapping[str, Any]) -> Document:
    return Document(id=found["id"], page_content=found["text"], metadata=found["metadata"])


def _piece(hit: Hit) -> Document:
    own = {name: value for name, value in (("title", hit.title), ("source", hit.source)) if value}
    place = {"doc_id": hit.doc_id, "start": hit.start, "end": hit.end, "score": hit.score}
    return Document(id=hit.chunk_id, page_content=hit.text, metadata={**own, **hit.metadata, **place})
