"""Does LangChain get what it expects? Its own standard suites say so; nothing of them is overridden."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_tests.integration_tests import (
    EmbeddingsIntegrationTests,
    RetrieversIntegrationTests,
    VectorStoreIntegrationTests,
)
from langchain_tests.unit_tests import EmbeddingsUnitTests

import quorate
from quorate.integrations.langchain import QuorateEmbeddings, QuorateRetriever, QuorateVectorStore

TEXTS = [
    "Metformin lowers blood glucose and is given in type 2 diabetes.",
    "Insulin is injected under the skin.",
    "Warfarin thins the blood; watch the INR.",
    "The sky is blue on a clear day.",
]


class TestStandardVectorStore(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, tmp_path):
        store = QuorateVectorStore(tmp_path / "kb", self.get_embeddings())
        yield store
        store.close()


class TestStandardVectorStoreOfATenant(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, tmp_path):
        with quorate.open(tmp_path / "kb") as kb:
            kb.add([{"id": "1", "text": "foo of nobody in particular"}])
            yield QuorateVectorStore(kb.tenant("acme"))
            assert kb.get("1")["text"] == "foo of nobody in particular"


class TestStandardEmbeddings(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self):
        return QuorateEmbeddings


class TestStandardEmbeddingsUnit(EmbeddingsUnitTests):
    @property
    def embeddings_class(self):
        return QuorateEmbeddings

    @property
    def init_from_env_params(self):
        return {"UNUSED": "quorate reads no environment"}, {}, {}


class TestStandardRetriever(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def knowledge(self, tmp_path):
        with quorate.open(tmp_path / "kb") as self.kb:
            self.kb.add([{"id": str(i), "text": text} for i, text in enumerate(TEXTS)])
            yield

    @property
    def retriever_constructor(self):
        return QuorateRetriever

    @property
    def retriever_constructor_params(self):
        return {"kb": self.kb}

    @property
    def retriever_query_example(self):
        return "blood glucose"


@pytest.fixture(params=["own model", "borrowed model"])
def store(request, tmp_path):
    embedding = DeterministicFakeEmbedding(size=8) if request.param == "borrowed model" else None
    store = QuorateVectorStore(tmp_path / "kb", embedding)
    store.add_texts(TEXTS, [{"n": i, "tags": ["drug"] if i < 3 else []} for i in range(4)], ids=list("abcd"))
    yield store
    store.close()


def test_the_nearest_is_the_text_itself_and_filters_hold(store):
    best, score = store.similarity_search_with_score(TEXTS[1], k=2)[0]
    assert (best.id, best.page_content, best.metadata) == ("b", TEXTS[1], {"n": 1, "tags": ["drug"]})
    assert score == pytest.approx(1.0, abs=1e-5)
    assert [d.id for d in store.similarity_search("drugs", k=4, filter="n = 3")] == ["d"]
    assert {d.id for d in store.similarity_search("drugs", k=4, filter={"tags": {"$contains": "drug"}})} == set("abc")
    relevant = store.similarity_search_with_relevance_scores(TEXTS[1], k=4)
    assert relevant[0][1] == pytest.approx(1.0, abs=1e-5) and all(0 <= score <= 1 for _, score in relevant)


def test_words_and_both_legs(store):
    assert [d.id for d in store.similarity_search("INR", k=4, mode="lexical")] == ["c"]
    assert store.similarity_search("INR", k=1, mode="hybrid", alpha=0.2)[0].id == "c"


async def test_twins_answer_alike(store):
    query = TEXTS[2]
    assert await store.asimilarity_search_with_score(query, k=3) == store.similarity_search_with_score(query, k=3)
    both = {"k": 3, "mode": "hybrid"}
    assert await store.asimilarity_search(query, **both) == store.similarity_search(query, **both)
    vector = store.kb.search("INR", k=1, mode="lexical")[0].vector.tolist()
    assert await store.asimilarity_search_by_vector(vector, k=2) == store.similarity_search_by_vector(vector, k=2)
    assert await store.amax_marginal_relevance_search(query, k=3) == store.max_marginal_relevance_search(query, k=3)


def test_diversity_passes_over_what_is_alike(tmp_path):
    store = QuorateVectorStore.from_texts(
        ["metformin and glucose", "metformin and glucose.", "metformin and glucose!", "warfarin and bleeding"],
        ids=list("abcd"),
        place=tmp_path,
    )
    query = "metformin, glucose, warfarin"
    assert {d.id for d in store.max_marginal_relevance_search(query, k=2, lambda_mult=1.0)} < set("abc")
    assert "d" in {d.id for d in store.max_marginal_relevance_search(query, k=2, lambda_mult=0.2)}
    store.close()


def test_a_store_is_found_again_with_its_model_alone(tmp_path):
    QuorateVectorStore.from_texts(["one"], DeterministicFakeEmbedding(size=8), ids=["a"], place=tmp_path).close()
    again = QuorateVectorStore(tmp_path, DeterministicFakeEmbedding(size=8))
    assert again.get_by_ids(["a"])[0].page_content == "one"
    again.close()
    with pytest.raises(quorate.Conflict) as caught:
        QuorateVectorStore(tmp_path, DeterministicFakeEmbedding(size=9))
    assert caught.value.code == "embedder_mismatch"


def test_a_store_without_a_place_leaves_nothing_behind():
    kept = QuorateVectorStore.from_texts(["one"], ids=["a"])
    place = Path(kept.kb._place)
    assert place.is_dir()
    kept.close()
    assert not place.exists()
    dropped = QuorateVectorStore.from_texts(["one"])
    place = Path(dropped.kb._place)
    del dropped
    gc.collect()
    assert not place.exists()


def test_an_embedding_that_fails_leaves_the_store_as_it_was(tmp_path):
    class Broken(DeterministicFakeEmbedding):
        def embed_documents(self, texts):
            raise RuntimeError("the service is down")

    store = QuorateVectorStore(tmp_path, Broken(size=8))
    with pytest.raises(RuntimeError, match="the service is down"):
        store.add_texts(["one", "two"])
    with pytest.raises(ValueError, match="1 ids are given for 2 texts"):
        store.add_texts(["one", "two"], ids=["a"])
    assert store.kb.count() == 0
    store.close()


def test_empty_texts_and_all_deleted(store):
    store.add_documents([Document(id="e", page_content="", metadata={"n": 9})])
    assert store.get_by_ids(["e", "nobody"])[0].page_content == ""
    store.delete()
    assert store.kb.count() == 0


def test_pieces_say_where_they_stand(tmp_path):
    with quorate.open(tmp_path) as kb:
        text = "\n\n".join(TEXTS * 60)
        kb.add([{"id": "long", "text": text, "title": "Notes", "metadata": {"year": 2024}}])
        found = QuorateRetriever(kb=kb, k=2, where="year = 2024").invoke("sky")
        for piece in found:
            place = piece.metadata
            assert text[place["start"] : place["end"]] == piece.page_content
            assert (place["doc_id"], place["title"], place["year"]) == ("long", "Notes", 2024)


def test_what_is_no_list_of_texts_is_refused(store):
    before = store.kb.count()
    for call in [
        lambda: store.add_texts("one text"),
        lambda: store.add_texts([None]),
        lambda: store.add_texts(5),
        lambda: store.add_texts({"a": "text"}),
        lambda: store.add_texts(["x"], metadatas=[5]),
        lambda: store.add_texts(["x"], metadatas={"a": 1}),
        lambda: store.add_texts(["x"], ids="x"),
        lambda: store.add_texts(["x"], ids=[7]),
        lambda: store.get_by_ids("x"),
    ]:
        with pytest.raises(quorate.InvalidInput) as caught:
            call()
        assert caught.value.code == "invalid_argument"
    assert store.kb.count() == before
