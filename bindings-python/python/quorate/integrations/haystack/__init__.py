"""How does Haystack use quorate? Needs ``haystack-ai``.

Haystack reads pipelines from files only with classes that it is told to trust:
``Pipeline.loads(text, allowed_modules=["quorate.integrations.haystack.*"])``.

>>> import tempfile
>>> from haystack import Document
>>> folder = tempfile.TemporaryDirectory()
>>> store = QuorateDocumentStore(folder.name, embedder="builtin")
>>> store.write_documents([Document(content="Metformin lowers glucose."), Document(content="The sky is blue.")])
2
>>> QuorateHybridRetriever(store, top_k=1).run(query="blood sugar and metformin")["documents"][0].content
'Metformin lowers glucose.'
>>> store.close(); folder.cleanup()
"""

from __future__ import annotations

from .retrievers import QuorateBM25Retriever, QuorateEmbeddingRetriever, QuorateHybridRetriever
from .store import QuorateDocumentStore

__all__ = ["QuorateBM25Retriever", "QuorateDocumentStore", "QuorateEmbeddingRetriever", "QuorateHybridRetriever"]
