"""Does Haystack get what it expects? Its own suites for document stores say so.

``test_write_documents`` and its twin are the two tests that the suites leave to each store; nothing else is defined anew.
"""

from __future__ import annotations

import pytest
from haystack import Document, Pipeline
from haystack.dataclasses import ByteStream, SparseEmbedding
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy
from haystack.errors import FilterError
from haystack.testing.document_store import (
    CountDocumentsByFilterTest,
    CountUniqueMetadataByFilterTest,
    DocumentStoreBaseExtendedTests,
    DocumentStoreBaseTests,
    GetMetadataFieldMinMaxTest,
    GetMetadataFieldsInfoTest,
    GetMetadataFieldUniqueValuesTest,
)
from haystack.testing.document_store_async import (
    CountDocumentsAsyncTest,
    CountDocumentsByFilterAsyncTest,
    CountUniqueMetadataByFilterAsyncTest,
    DeleteAllAsyncTest,
    DeleteByFilterAsyncTest,
    DeleteDocumentsAsyncTest,
    FilterDocumentsAsyncTest,
    GetMetadataFieldMinMaxAsyncTest,
    GetMetadataFieldsInfoAsyncTest,
    GetMetadataFieldUniqueValuesAsyncTest,
    UpdateByFilterAsyncTest,
    WriteDocumentsAsyncTest,
)

from quorate.integrations.haystack import (
    QuorateBM25Retriever,
    QuorateDocumentStore,
    QuorateEmbeddingRetriever,
    QuorateHybridRetriever,
)


@pytest.fixture
def document_store(tmp_path):
    store = QuorateDocumentStore(str(tmp_path / "kb"))
    yield store
    store.close()


class Given:
    """The store of the suites."""

    @pytest.fixture
    def document_store(self, tmp_path):
        store = QuorateDocumentStore(str(tmp_path / "kb"))
        yield store
        store.close()


class Written:
    """The one test that the suites leave to each store."""

    def test_write_documents(self, document_store):
        document = Document(content="test doc", meta={"a": [1, {"b": None}]}, embedding=[0.25] * 768)
        assert document_store.write_documents([document]) == 1
        assert document_store.filter_documents() == [document]
        with pytest.raises(DuplicateDocumentError):
            document_store.write_documents([document])


class TestBase(Written, Given, DocumentStoreBaseTests):
    pass


class TestExtended(
    Written,
    Given,
    DocumentStoreBaseExtendedTests,
    CountDocumentsByFilterTest,
    CountUniqueMetadataByFilterTest,
    GetMetadataFieldMinMaxTest,
    GetMetadataFieldsInfoTest,
    GetMetadataFieldUniqueValuesTest,
):
    pass


class TestAsync(
    Given,
    CountDocumentsAsyncTest,
    CountDocumentsByFilterAsyncTest,
    CountUniqueMetadataByFilterAsyncTest,
    DeleteAllAsyncTest,
    DeleteByFilterAsyncTest,
    DeleteDocumentsAsyncTest,
    FilterDocumentsAsyncTest,
    GetMetadataFieldMinMaxAsyncTest,
    GetMetadataFieldsInfoAsyncTest,
    GetMetadataFieldUniqueValuesAsyncTest,
    UpdateByFilterAsyncTest,
    WriteDocumentsAsyncTest,
):
    async def test_write_documents_async(self, document_store):
        document = Document(content="test doc")
        assert await document_store.write_documents_async([document]) == 1
        assert await document_store.filter_documents_async() == [document]


def axis(i, size=768):
    return [1.0 if j == i else 0.0 for j in range(size)]


@pytest.fixture
def drugs(document_store):
    document_store.write_documents(
        [
            Document(id="a", content="Metformin lowers glucose.", meta={"year": 2024}, embedding=axis(0)),
            Document(id="b", content="Warfarin thins the blood.", meta={"year": 2019}, embedding=axis(1)),
            Document(id="c", content="Glucose is a sugar.", meta={"year": 2020}),
        ]
    )
    return document_store


def ids(found):
    return [document.id for document in found["documents"]]


def test_retrievers(drugs):
    near_b = [0.1, 0.9, *[0.0] * 766]
    by_vector = QuorateEmbeddingRetriever(drugs, top_k=5)
    assert ids(by_vector.run(near_b)) == ["b", "a"]  # c has no embedding
    best = by_vector.run(near_b, top_k=1)["documents"][0]
    assert best.score == pytest.approx(0.9938837, abs=1e-5) and best.embedding is None
    assert QuorateEmbeddingRetriever(drugs, return_embedding=True).run(near_b)["documents"][0].embedding == axis(1)
    assert set(ids(QuorateBM25Retriever(drugs).run("glucose"))) == {"a", "c"}
    assert ids(QuorateHybridRetriever(drugs, alpha=0.3).run("glucose metformin", axis(0)))[0] == "a"


def test_filter_policies(drugs):
    recent = {"field": "meta.year", "operator": ">=", "value": 2020}
    bare = {"field": "id", "operator": "in", "value": ["b", "c"]}
    replaced = QuorateBM25Retriever(drugs, filters=recent)
    assert set(ids(replaced.run("warfarin glucose"))) == {"a", "c"}
    assert set(ids(replaced.run("warfarin glucose", filters=bare))) == {"b", "c"}
    merged = QuorateBM25Retriever(drugs, filters=recent, filter_policy="merge")
    assert ids(merged.run("warfarin glucose", filters=bare)) == ["c"]


async def test_retrievers_async(drugs):
    assert ids(await QuorateEmbeddingRetriever(drugs).run_async(axis(1))) == ["b", "a"]
    assert ids(await QuorateBM25Retriever(drugs).run_async("warfarin")) == ["b"]
    assert ids(await QuorateHybridRetriever(drugs).run_async("warfarin", axis(1), top_k=1)) == ["b"]


def test_pipelines_are_written_to_text_and_read_again(drugs):
    pipeline = Pipeline()
    pipeline.add_component("words", QuorateBM25Retriever(drugs, top_k=1))
    pipeline.add_component("vectors", QuorateEmbeddingRetriever(drugs, top_k=1))
    pipeline.add_component("both", QuorateHybridRetriever(drugs, top_k=2, fusion="rrf", filter_policy="merge"))
    text = pipeline.dumps()
    drugs.close()
    again = Pipeline.loads(text, allowed_modules=["quorate.integrations.haystack.*"])
    inputs = {"words": {"query": "warfarin"}, "vectors": {"query_embedding": axis(0)}}
    inputs["both"] = {"query": "glucose", "query_embedding": axis(0)}
    found = again.run(inputs)
    assert (ids(found["words"]), ids(found["vectors"]), ids(found["both"])[0]) == (["b"], ["a"], "a")
    assert again.dumps() == text
    again.get_component("words").document_store.close()
    for name in ("vectors", "both"):
        again.get_component(name).document_store.close()


def test_nothing_of_a_document_is_lost(document_store):
    documents = [
        Document(
            id="all",
            content="words",
            blob=ByteStream(b"\x00\xff", meta={"from": "x"}, mime_type="image/png"),
            meta={"nested": {"x": [1.5, None, {"y": "z"}]}},
            score=0.5,
            embedding=[0.1] * 768,
            sparse_embedding=SparseEmbedding(indices=[1, 5], values=[0.5, 0.25]),
        ),
        Document(id="picture", content=None, blob=ByteStream(b"\x01"), embedding=axis(3)),
        Document(id="empty", content="", meta={"_haystack": {"mine": 1}}),
    ]
    document_store.write_documents(documents[:2])
    assert document_store.filter_documents() == documents[:2]
    assert [d.id for d in document_store.embedding_retrieval(axis(3), top_k=1)] == ["picture"]
    with pytest.raises(ValueError, match="_haystack"):
        document_store.write_documents(documents[2:])


def test_policies_over_repeats_in_one_batch(document_store):
    one, two = Document(id="x", content="one"), Document(id="x", content="two")
    with pytest.raises(DuplicateDocumentError):
        document_store.write_documents([one, two], DuplicatePolicy.FAIL)
    assert document_store.count_documents() == 0
    assert document_store.write_documents([one, two], DuplicatePolicy.SKIP) == 1
    assert document_store.filter_documents() == [one]
    assert document_store.write_documents([one, two], DuplicatePolicy.OVERWRITE) == 2
    assert document_store.filter_documents() == [two]


@pytest.mark.parametrize(
    "filters",
    [
        {"field": "meta.year", "operator": "~", "value": 1},
        {"field": "content", "operator": "==", "value": "x"},
        {"field": "meta.year", "operator": "==", "value": "x"},
        {"field": "meta.year", "operator": "==", "value": [1]},
        {"operator": "XOR", "conditions": []},
    ],
)
def test_filters_that_make_no_sense(drugs, filters):
    with pytest.raises(FilterError):
        drugs.filter_documents(filters)


def test_quorate_embeds(tmp_path):
    store = QuorateDocumentStore(str(tmp_path), embedder="builtin")
    store.write_documents([Document(id="a", content="Metformin lowers glucose."), Document(id="b", content="The sky is blue.")])
    assert ids(QuorateHybridRetriever(store, top_k=1).run("drug for blood sugar")) == ["a"]
    assert store.filter_documents()[0].embedding is None
    store.close()
