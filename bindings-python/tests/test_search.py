"""What else can a search be told, and what else can be asked of a knowledge base?"""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import unicodedata

import numpy as np
import pytest

import quorate

TEXTS = {
    "a": "acute renal failure in the elderly",
    "b": "failure of the renal artery",
    "c": "the kidney and its contraindications",
    "d": "renal function, chronic failure",
}


@pytest.fixture(scope="module")
def kb(tmp_path_factory):
    with quorate.open(tmp_path_factory.mktemp("kb"), durability="process") as kb:
        kb.add(
            [
                {"id": id, "text": text, "title": f"Title {id}", "metadata": {"year": 2020 + i % 3, "tags": [id, "all"]}}
                for i, (id, text) in enumerate(TEXTS.items())
            ]
        )
        yield kb


def found(hits):
    return "".join(sorted(hit.doc_id for hit in hits))


@pytest.mark.parametrize("mode", ["hybrid", "dense", "lexical"])
def test_words_that_must_and_must_not_occur(kb, mode):
    def search(**words):
        return found(kb.search("renal failure", mode=mode, lexical=quorate.Lexical(**words)))

    assert search(must="renal") == "abd"
    assert search(must=["failure", "renal"], must_not="artery") == "ad"
    assert search(phrase="renal failure") == "a"
    assert search(phrase={"text": "renal failure", "slop": 2}) == "ad"
    assert search(prefix=["contraindic"]) == "c"
    assert search(fuzzy="kindey") == "c"
    assert search(must=quorate.Lexical(should=["acute", "chronic"])) == "ad"
    assert found(kb.search("renal failure", mode=mode, lexical={"must": "renal", "must_not": ["artery"]})) == "ad"


def test_structured_queries_are_refused_by_code(kb):
    for bad in ({"may": "x"}, {"must": 3}, {"must": ""}, "renal"):
        with pytest.raises(quorate.InvalidInput) as error:
            kb.search("renal", lexical=bad)
        assert error.value.code == "query_syntax"
    assert quorate.Lexical(must=["a"], should=quorate.Lexical(prefix="b")).to_dict() == {
        "must": ["a"], "should": {"prefix": "b"},
    }
    assert found(kb.search("", mode="lexical", lexical=quorate.Lexical(must="renal"))) == "abd"


def test_the_numbers_of_a_search(kb):
    plain = kb.search("renal failure", mode="lexical")
    flat = kb.search("renal failure", mode="lexical", bm25=(0.0, 0.0))
    assert len({round(hit.score, 5) for hit in flat}) == 1 and plain[0].score != flat[0].score
    assert kb.search("title a", mode="lexical", title_boost=5)[0].score > kb.search("title a", mode="lexical")[0].score
    for options in ({"exact": True}, {"recall": 0.99}, {"recall": 1}, {"ef_search": 200}, {"depth": 500}):
        assert found(kb.search("renal failure", **options)) == "abcd"
        assert len(kb.search_vector(plain[0].vector, k=2, **options)) == 2
    for options in ({"recall": 0}, {"recall": 1.5}, {"bm25": (1,)}, {"bm25": 3}, {"bm25": (-1, 0)}, {"min_relevance": 2},
                    {"depth": 2**40}, {"ef_search": -1}, {"exact": "yes"}, {"title_boost": "x"}):
        with pytest.raises(quorate.InvalidInput) as error:
            kb.search("renal", **options)
        assert error.value.code == "invalid_argument", options


def test_an_empty_query_is_refused(kb):
    for empty in ("", " \n"):
        for call in (kb.search, kb.context, lambda q: kb.search_batch(["x", q]), lambda q: kb.search_many([q])):
            with pytest.raises(quorate.InvalidInput) as error:
                call(empty)
            assert error.value.code == "empty_input"


def test_nothing_is_found_where_nothing_is_relevant(kb):
    hits = kb.search("renal failure")
    assert all(0 <= hit.relevance <= 1 for hit in hits)
    assert hits[0].relevance > hits[-1].relevance
    assert np.isclose(hits[0].similarity, hits[0].vector @ kb.embedder.embed_query("renal failure"), atol=1e-5)
    assert kb.search("renal failure", mode="lexical")[0].similarity is None
    assert len(kb.search("the best pizza in Naples")) == 4
    assert not kb.search("the best pizza in Naples", min_relevance=0.5)
    nothing = kb.context("the best pizza in Naples", min_relevance=0.5)
    assert (nothing.text, nothing.citations, nothing.tokens) == ("", [], 0)
    assert kb.context("acute renal failure in the elderly", min_relevance=0.5).citations


def test_values_and_documents(kb):
    assert kb.facets("year") == [(2020, 2), (2021, 1), (2022, 1)]
    assert kb.facets("tags", limit=1) == [("all", 4)]
    assert kb.facets("year", where="tags CONTAINS 'a'") == [(2020, 1)]
    assert kb.min_max("year") == (2020, 2022) and kb.min_max("nothing") is None
    assert kb.min_max("year", where={"year": {"$gt": 2020}}) == (2021, 2022)
    first = kb.documents(sort="-year", limit=3)
    assert [document.id for document in first] == ["c", "b", "a"] and len(first) == 3
    rest = kb.documents(sort="-year", limit=3, after=first.next)
    assert [document["id"] for document in rest] == ["d"] and rest.next is None
    assert [document.id for document in kb.documents()] == list("abcd")
    assert kb.documents(where="year = 2021")[0].text == TEXTS["b"]
    assert list(first.to_pandas()["id"]) == ["c", "b", "a"]
    assert first.to_polars()["id"].to_list() == first.to_arrow()["id"].to_pylist() == ["c", "b", "a"]
    assert json.loads(first.to_json())["next"] == first.next
    again = pickle.loads(pickle.dumps(first))
    assert list(again) == list(first) and again.next == first.next
    for bad in ({"after": "x"}, {"after": first.next}, {"limit": 0}, {"sort": ""}):
        with pytest.raises(quorate.InvalidInput) as error:
            kb.documents(**bad)
        assert error.value.code == "invalid_argument", bad


def test_an_empty_filter_deletes_nothing(tmp_path):
    with quorate.open(tmp_path / "kb", durability="process") as kb:
        kb.add([{"id": id, "text": text} for id, text in TEXTS.items()])
        for options in ({"where": {}}, {"where": {"$and": []}}, {}, {"ids": ["a"], "where": {}}, {"ids": ["a"], "all": True}):
            with pytest.raises(quorate.InvalidInput) as error:
                kb.delete(**options)
            assert error.value.code == "invalid_argument"
        assert kb.count() == 4
        assert kb.delete(where={}, all=True) == 4
        kb.add([{"id": "a", "text": "alpha"}])
        assert (kb.delete(all=True), kb.count()) == (1, 0)


def test_hits_are_values(kb):
    hits = kb.search("renal failure")
    members = ("score", "relevance", "similarity", "text", "doc_id", "chunk_id", "title", "source", "metadata", "headings",
               "start", "end", "document_text")
    for make in (lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy, copy.copy):
        again = make(hits)
        assert again.query == hits.query and len(again) == len(hits) and again.to_dict() == hits.to_dict()
        for old, new in zip(hits, again):
            assert [getattr(old, name) for name in members] == [getattr(new, name) for name in members]
            assert np.array_equal(old.vector, new.vector) and str(old.explain()) == str(new.explain())
            assert old.explain() == new.explain() and repr(old) == repr(new)
    kept = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(hits[0]))))
    assert kept.to_json() == hits[0].to_json() and kept._repr_html_() == hits[0]._repr_html_()
    assert json.loads(hits.to_json())["hits"][0]["doc_id"] == hits[0].doc_id
    assert list(pickle.loads(pickle.dumps(hits)).to_pandas()["doc_id"]) == [hit.doc_id for hit in hits]
    with pytest.raises(quorate.Unsupported):
        kb.context_of(pickle.loads(pickle.dumps(hits)))


def test_the_same_awaited(kb):
    async def main():
        aio = kb.aio
        assert await aio.facets("year") == kb.facets("year")
        assert await aio.min_max("year") == (2020, 2022)
        assert [document.id for document in await aio.documents(limit=2)] == ["a", "b"]
        hits = await aio.search("renal", lexical=quorate.Lexical(must="artery"), min_relevance=0.0)
        assert found(hits) == "b"

    asyncio.run(main())


@pytest.mark.parametrize("language", ["english", "german", "none"])
def test_words_are_found_in_each_normal_form(tmp_path, language):
    words = ["résumé", "Zürich", "Ångström", "Việt", "Übergröße", "ελληνικά", "йогурт", "한국어", "ガイド"]
    forms = ("NFC", "NFD")
    with quorate.open(tmp_path / "kb", language=language, durability="process") as kb:
        kb.add(
            [
                {"id": f"{word}/{form}", "text": f"x {unicodedata.normalize(form, word)} y"}
                for word in words for form in forms
            ]
        )
        for word in words:
            for form in forms:
                ids = {hit.doc_id for hit in kb.search(unicodedata.normalize(form, word), mode="lexical", k=30)}
                assert ids >= {f"{word}/{other}" for other in forms}, (word, form)
