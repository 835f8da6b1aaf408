"""Does LlamaIndex get what it expects from a vector store?"""

from __future__ import annotations

import pytest
from llama_index.core import MockEmbedding, StorageContext, VectorStoreIndex
from llama_index.core.schema import MetadataMode, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.simple import SimpleVectorStore
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

import quorate
from quorate.integrations.llama_index import QuorateVectorStore


def node(id, text, vector, of, **metadata):
    source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=of)}
    return TextNode(id_=id, text=text, embedding=vector, relationships=source, metadata=metadata)


NODES = [
    node("a", "Metformin lowers glucose.", [1.0, 0.0, 0.0], "doc1", year=2024, kind="label", tags=["fda", "drug"]),
    node("b", "Warfarin thins the blood.", [0.0, 1.0, 0.0], "doc1", year=2019, kind="guideline", tags=["drug"]),
    node("c", "Glucose is a sugar.", [0.9, 0.1, 0.0], "doc2", year=2020, tags=["basics"]),
    node("d", "The sky is blue.", [0.0, 0.0, 1.0], "doc3", kind="50%_off"),
]


@pytest.fixture
def store(tmp_path):
    store = QuorateVectorStore(path=str(tmp_path), dim=3)
    assert store.add(NODES) == ["a", "b", "c", "d"]
    yield store
    store.close()


def ask(store, vector=None, text=None, k=4, **more):
    return store.query(VectorStoreQuery(query_embedding=vector, query_str=text, similarity_top_k=k, **more))


def where(key, value, operator=FilterOperator.EQ):
    return MetadataFilters(filters=[MetadataFilter(key=key, value=value, operator=operator)])


def test_nodes_come_back_whole_and_nearest_first(store):
    found = ask(store, [1.0, 0.2, 0.0], k=2)
    assert found.ids == ["a", "c"] or found.ids == ["c", "a"]
    best = ask(store, [1.0, 0.0, 0.0], k=1)
    assert best.ids == ["a"] and best.similarities == pytest.approx([1.0])
    kept = best.nodes[0]
    assert (kept.text, kept.metadata, kept.ref_doc_id) == (NODES[0].text, NODES[0].metadata, "doc1")
    assert kept.relationships == NODES[0].relationships
    assert kept.get_content(MetadataMode.ALL) == NODES[0].get_content(MetadataMode.ALL)


def test_modes(store):
    words = ask(store, text="glucose", mode=VectorStoreQueryMode.TEXT_SEARCH)
    assert set(words.ids) == {"a", "c"} and words.similarities == sorted(words.similarities, reverse=True)
    assert ask(store, text="sky", mode=VectorStoreQueryMode.SPARSE).ids == ["d"]
    by_vector = ask(store, [0.0, 1.0, 0.0], "sky", k=1, mode=VectorStoreQueryMode.HYBRID, alpha=1.0)
    by_words = ask(store, [0.0, 1.0, 0.0], "sky", k=1, mode=VectorStoreQueryMode.HYBRID, alpha=0.0)
    assert (by_vector.ids, by_words.ids) == (["b"], ["d"])
    spread = ask(store, [1.0, 0.3, 0.0], k=2, mode=VectorStoreQueryMode.MMR, mmr_threshold=0.3)
    assert set(spread.ids) != {"a", "c"}
    for mode in (VectorStoreQueryMode.SVM, VectorStoreQueryMode.HYBRID):
        with pytest.raises(quorate.QuorateError):
            ask(store, [1.0, 0.0, 0.0], mode=mode)


OPERATORS = [
    ("year", FilterOperator.EQ, 2024),
    ("year", FilterOperator.NE, 2024),
    ("year", FilterOperator.GT, 2019),
    ("year", FilterOperator.GTE, 2019),
    ("year", FilterOperator.LT, 2024),
    ("year", FilterOperator.LTE, 2020),
    ("kind", FilterOperator.IN, ["label", "guideline"]),
    ("kind", FilterOperator.NIN, ["label", "guideline"]),
    ("tags", FilterOperator.ANY, ["fda", "basics"]),
    ("tags", FilterOperator.ALL, ["fda", "drug"]),
    ("tags", FilterOperator.CONTAINS, "drug"),
    ("kind", FilterOperator.TEXT_MATCH, "0%_o"),
    ("kind", FilterOperator.TEXT_MATCH, "a"),
    ("kind", FilterOperator.IS_EMPTY, None),
    ("nobody", FilterOperator.EQ, 1),
]


@pytest.mark.parametrize("condition", [FilterCondition.AND, FilterCondition.NOT])
@pytest.mark.parametrize(("key", "operator", "value"), OPERATORS)
def test_each_operator_selects_what_llama_index_itself_selects(store, key, operator, value, condition):
    peer = SimpleVectorStore()
    peer.add([one.model_copy() for one in NODES])
    filters = MetadataFilters(filters=[MetadataFilter(key=key, value=value, operator=operator)], condition=condition)
    expected = ask(peer, [1.0, 1.0, 1.0], filters=filters)
    found = ask(store, [1.0, 1.0, 1.0], filters=filters)
    assert set(found.ids) == set(expected.ids)
    scores = dict(zip(expected.ids, expected.similarities, strict=True))
    assert found.similarities == pytest.approx([scores[id] for id in found.ids], abs=1e-6)


def test_nested_conditions_and_ids(store):
    recent_or_blue = MetadataFilters(
        filters=[where("year", 2020, FilterOperator.GTE), where("kind", "50%_off")], condition=FilterCondition.OR
    )
    assert set(ask(store, [1.0, 1.0, 1.0], filters=recent_or_blue).ids) == {"a", "c", "d"}
    not_drugs = MetadataFilters(filters=[where("tags", "drug", FilterOperator.CONTAINS)], condition=FilterCondition.NOT)
    both = MetadataFilters(filters=[recent_or_blue, not_drugs])
    assert set(ask(store, [1.0, 1.0, 1.0], filters=both).ids) == {"c", "d"}
    assert set(ask(store, [1.0, 1.0, 1.0], doc_ids=["doc1"]).ids) == {"a", "b"}
    assert ask(store, [1.0, 1.0, 1.0], doc_ids=["doc1"], node_ids=["b", "d"]).ids == ["b"]
    assert len(ask(store, [1.0, 1.0, 1.0], node_ids=[]).ids) == 4
    assert store.get_nodes([]) == []
    with pytest.raises(quorate.Unsupported):
        ask(store, [1.0, 1.0, 1.0], filters=where("kind", "A", FilterOperator.TEXT_MATCH_INSENSITIVE))


def test_get_and_delete(store):
    assert [n.node_id for n in store.get_nodes()] == ["a", "b", "c", "d"]
    assert [n.node_id for n in store.get_nodes(["c", "nobody"])] == ["c"]
    store.delete_nodes()
    store.delete_nodes(["c", "d"], where("year", 2020))
    assert [n.node_id for n in store.get_nodes()] == ["a", "b", "d"]
    store.delete("doc1")
    store.delete("nobody")
    assert [n.node_id for n in store.get_nodes()] == ["d"]
    store.clear()
    assert store.get_nodes() == []


async def test_twins(store):
    query = VectorStoreQuery(query_embedding=[0.0, 1.0, 0.0], similarity_top_k=2)
    assert (await store.aquery(query)).ids == store.query(query).ids
    assert await store.async_add([node("e", "new", [0.5, 0.5, 0.0], "doc4")]) == ["e"]
    assert [n.node_id for n in await store.aget_nodes(["e"])] == ["e"]
    await store.adelete("doc4")
    await store.adelete_nodes(["a"])
    assert [n.node_id for n in store.get_nodes()] == ["b", "c", "d"]
    await store.aclear()
    assert store.client.count() == 0


def test_an_index_over_the_store(tmp_path):
    store = QuorateVectorStore(path=str(tmp_path), dim=4)
    context = StorageContext.from_defaults(vector_store=store)
    nodes = [TextNode(id_=str(i), text=text) for i, text in enumerate(["one", "two", "three"])]
    index = VectorStoreIndex(nodes, storage_context=context, embed_model=MockEmbedding(embed_dim=4))
    assert len(index.as_retriever(similarity_top_k=2).retrieve("anything")) == 2
    store.close()
    again = VectorStoreIndex.from_vector_store(QuorateVectorStore(path=str(tmp_path), dim=4), MockEmbedding(embed_dim=4))
    assert {found.text for found in again.as_retriever(similarity_top_k=3).retrieve("x")} == {"one", "two", "three"}
    again.vector_store.close()


def test_replaced_and_wrong_dimension(store):
    store.add([node("a", "changed", [0.0, 0.0, 1.0], "doc9")])
    assert store.get_nodes(["a"])[0].text == "changed" and store.client.count() == 4
    with pytest.raises(quorate.InvalidInput) as caught:
        store.add([node("z", "short", [1.0], "doc9"), node("y", "fits", [1.0, 0.0, 0.0], "doc9")])
    assert caught.value.code == "invalid_shape" and store.client.count() == 4
