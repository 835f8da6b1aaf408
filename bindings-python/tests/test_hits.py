"""Do hits behave as a sequence, as a table and in a notebook?"""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

import quorate

DOCUMENTS = [
    {"id": "a", "text": "Métformin 💊 lowers <b>glucose</b>.", "title": "Label", "metadata": {"year": 2024, "tags": ["x", "y"]}},
    {"id": "b", "text": "Insulin lowers glucose too.", "source": "b.txt", "metadata": {"year": 2020}},
    {"id": "c", "text": "The sky is blue.", "metadata": {"year": "unknown"}},
]
COLUMNS = ["score", "doc_id", "chunk_id", "title", "text", "source", "start", "end", "headings", "metadata"]


@pytest.fixture(scope="module")
def kb(tmp_path_factory):
    with quorate.open(tmp_path_factory.mktemp("kb"), durability="process") as kb:
        kb.add(DOCUMENTS)
        yield kb


def test_a_sequence(kb):
    hits = kb.search("glucose", k=3)
    assert isinstance(hits, Sequence) and isinstance(hits, quorate.Hits) and len(hits) == 3
    assert hits.query == "glucose" and kb.search_vector(hits[0].vector).query is None
    assert [h.doc_id for h in hits][-1] == hits[-1].doc_id == "c"
    first = hits[:2]
    assert isinstance(first, quorate.Hits) and len(first) == 2 and first.query == "glucose"
    assert hits[0] in hits and hits.index(hits[1]) == 1 and list(reversed(hits))[0].doc_id == "c"
    with pytest.raises(IndexError):
        hits[3]
    assert not kb.search("glucose", where="year = 1900")
    assert repr(hits).startswith("Hits(3 for 'glucose')")
    given = kb.search("glucose", k=3, vector=kb.embedder.embed_query("glucose"))
    assert [(h.doc_id, h.score) for h in given] == [(h.doc_id, h.score) for h in hits]
    with pytest.raises(quorate.InvalidInput) as bad:
        kb.search("glucose", vector=[1.0, 2.0])
    assert bad.value.code == "invalid_shape"
    assert [h.query for h in kb.search_batch(iter(["sky", "insulin"]), k=1)] == ["sky", "insulin"]


def test_dicts_can_be_json(kb):
    rows = kb.search("glucose", k=2).to_dicts()
    assert list(rows[0]) == [*COLUMNS, "relevance", "similarity"]
    assert json.loads(json.dumps(rows))[0]["doc_id"] == rows[0]["doc_id"]


def test_notebook(kb):
    hits = kb.search("glucose", k=3)
    html = hits._repr_html_()
    assert "&lt;b&gt;glucose" in html and "<b>glucose" not in html and "3 hits for" in html
    assert "Métformin" in next(h for h in hits if h.doc_id == "a")._repr_html_()
    assert "documents" in kb._repr_html_() and "documents=3" in repr(kb)


def test_explanation(kb):
    hit = kb.search("glucose")[0]
    found = hit.explain()
    assert found["score"] == found.score == pytest.approx(hit.score)
    assert found.lexical.terms[0].term == "glucos" and found.dense.rank >= 1
    assert found.fusion.method == "convex" and found.rerank is None
    assert "bm25" in str(found).lower() and str(found) in found._repr_html_().replace("&#x27;", "'")
    assert dict(found)["dense"]["similarity"] == found.dense.similarity
    with pytest.raises(AttributeError, match="no member 'nothing'"):
        found.nothing
    assert json.loads(json.dumps(found))["dense"] == found.dense


@pytest.mark.parametrize("query", ["glucose", "insulin"])
def test_pandas(kb, query):
    pandas = pytest.importorskip("pandas")
    hits = kb.search(query, k=3)
    frame = hits.to_pandas()
    assert list(frame.columns) == COLUMNS and len(frame) == 3
    assert frame["score"].dtype == "float64" and frame["start"].dtype == "int64"
    assert frame["metadata"][0] == hits[0].metadata
    empty = kb.search("glucose", k=0).to_pandas()
    assert list(empty.columns) == COLUMNS and len(empty) == 0 and empty["score"].dtype == "float64"
    assert isinstance(frame, pandas.DataFrame)


def test_polars(kb):
    polars = pytest.importorskip("polars")
    hits = kb.search("glucose", k=3, where="year >= 2000")
    frame = hits.to_polars()
    assert frame.columns == COLUMNS and frame.height == 2
    assert frame["metadata"][0]["year"] == hits[0].metadata["year"]
    mixed = kb.search("glucose", k=3).to_polars()
    assert mixed["metadata"].dtype == polars.String and json.loads(mixed["metadata"][2]) == {"year": "unknown"}
    empty = kb.search("glucose", k=0).to_polars()
    assert empty.columns == COLUMNS and empty["score"].dtype == polars.Float64


def test_arrow(kb):
    pyarrow = pytest.importorskip("pyarrow")
    hits = kb.search("glucose", k=3, where="year >= 2000")
    table = hits.to_arrow()
    assert table.column_names == COLUMNS and table.num_rows == 2
    assert table["metadata"].to_pylist()[0]["year"] == hits[0].metadata["year"]
    assert pyarrow.table(hits).equals(table)
    assert kb.search("glucose", k=0).to_arrow().schema.field("start").type == pyarrow.int64()
