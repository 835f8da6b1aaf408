"""Are documents kept and found through Python?"""

from __future__ import annotations

import numpy as np
import pytest

import quorate

DOCUMENTS = [
    {
        "id": "a",
        "text": "Métformin 💊 is contraindicated below an eGFR of 30.",
        "title": "Label",
        "metadata": {"year": 2024, "tags": ["fda"], "nested": {"x": 1.5, "y": None, "z": True}},
    },
    {"id": "b", "text": "The sky is blue on a clear day.", "metadata": {"year": 1999}},
    {"id": "c", "text": "Insulin is injected under the skin.", "metadata": None},
]


@pytest.fixture
def kb(tmp_path):
    with quorate.open(tmp_path / "kb") as kb:
        yield kb


def test_add_search_get_count_delete(kb):
    report = kb.add(DOCUMENTS)
    assert (report.added, report.replaced, report.skipped) == (3, 0, [])
    hits = kb.search("metformin and the eGFR", k=2)
    best = hits[0]
    assert (best.doc_id, best.title, best.metadata) == ("a", "Label", DOCUMENTS[0]["metadata"])
    assert DOCUMENTS[0]["text"][best.start : best.end] == best.text
    assert best.explain()["score"] == pytest.approx(best.score) and "Hit(" in repr(best)
    assert best.vector.dtype == np.float32
    assert kb.get("b")["text"] == DOCUMENTS[1]["text"]
    assert (kb.count(), kb.count("year >= 2000"), kb.count({"year": {"$lt": 2000}})) == (3, 1, 1)
    assert [h.doc_id for h in kb.search("anything", where="year = 1999", mode="dense")] == ["b"]
    assert [h.doc_id for h in kb.search_vector(best.vector, k=1)] == ["a"]
    assert [len(hits) for hits in kb.search_batch(["sky", "skin"], k=1)] == [1, 1]
    kb.update_metadata("b", {"year": 2025})
    assert kb.delete(where="year = 2025") == 1 and kb.delete(["c"]) == 1
    assert kb.count() == 1 and kb.stats()["documents"] == 1


def test_reopened(tmp_path):
    with quorate.open(tmp_path) as kb:
        kb.add(DOCUMENTS)
        with pytest.raises(quorate.Locked):
            quorate.open(tmp_path)
    with quorate.open(tmp_path, read_only=True) as kb:
        assert kb.count() == 3
        with pytest.raises(quorate.Conflict) as caught:
            kb.add([{"id": "z", "text": "t"}])
        assert caught.value.code == "read_only"
    with pytest.raises(quorate.Conflict) as caught:
        kb.count()
    assert caught.value.code == "closed"


def test_tenants(kb):
    kb.add(DOCUMENTS)
    acme = kb.tenant("acme")
    assert acme.count() == 0
    acme.upsert([{"id": "a", "text": "ours"}])
    assert (acme.count(), kb.count(), acme.get("a")["text"]) == (1, 3, "ours")


@pytest.mark.parametrize(
    ("code", "documents"),
    [
        ("duplicate_id", [{"id": "x", "text": "one"}, {"id": "x", "text": "two"}]),
        ("invalid_document", [{"id": "x", "text": "one"}, {"id": "", "text": "two"}]),
        ("invalid_document", [{"id": "x", "text": "one"}, {"id": 5, "text": "two"}]),
        ("invalid_document", [{"id": "x", "text": "one"}, {"id": "y", "txt": "two"}]),
        ("invalid_document", [{"id": "x", "text": "one"}, "two"]),
        ("invalid_document", [{"id": "x", "text": "one", "metadata": {"a": object()}}]),
        ("invalid_document", [{"id": "x", "text": "one", "metadata": {"a": 2**70}}]),
        ("not_finite", [{"id": "x", "text": "one", "metadata": {"a": float("nan")}}]),
        ("invalid_text", [{"id": "x", "text": "one \ud800"}]),
        ("invalid_argument", "text"),
    ],
)
def test_nothing_of_a_bad_batch_is_stored(kb, code, documents):
    with pytest.raises(quorate.QuorateError) as caught:
        kb.add(documents)
    assert caught.value.code == code
    assert kb.count() == 0


def test_bad_searches(kb):
    kb.add(DOCUMENTS)
    for code, call in [
        ("filter_syntax", lambda: kb.search("x", where="year >=")),
        ("filter_type", lambda: kb.search("x", where="year = 'new'")),
        ("filter_field", lambda: kb.search("x", where="yaer = 3", strict=True)),
        ("invalid_argument", lambda: kb.search("x", mode="fuzzy")),
        ("invalid_argument", lambda: kb.search("x", alpha=2.0)),
        ("invalid_text", lambda: kb.search("\ud800")),
        ("invalid_shape", lambda: kb.search_vector([1.0, 2.0])),
        ("unknown_id", lambda: kb.get("nobody")),
        ("invalid_argument", lambda: kb.delete()),
    ]:
        with pytest.raises(quorate.QuorateError) as caught:
            call()
        assert caught.value.code == code
