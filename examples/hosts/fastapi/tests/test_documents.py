"""Are documents kept, found and deleted, also by long ingests?"""

from __future__ import annotations

import pytest
import quorate
from conftest import ACME, GLOBEX, LABEL, events, wait_until
from fastapi.testclient import TestClient

NOTE = {"id": "note", "text": "The sky is blue on a clear day.", "metadata": {"year": 1999, "kind": "note"}}
RENAL = "metformin in renal failure"



@pytest.fixture
def filled(client):
    answer = client.post("/v1/documents", json={"documents": [LABEL, NOTE]})
    assert (answer.status_code, answer.json()["added"]) == (201, 2), answer.text
    return client


def test_documents_are_kept_found_read_and_deleted(filled):
    hits = filled.get("/v1/search", params={"q": RENAL, "explain": True}).json()["hits"]
    best = hits[0]
    assert (best["doc_id"], best["metadata"]) == ("label", LABEL["metadata"])
    assert LABEL["text"][best["start"] : best["end"]] == best["text"]
    assert best["explanation"]["score"] == pytest.approx(best["score"])
    recent = filled.get("/v1/search", params={"q": "anything", "where": "year < 2000 AND kind IN ('note')"}).json()["hits"]
    assert [hit["doc_id"] for hit in recent] == ["note"]
    assert filled.get("/v1/documents/note").json()["text"] == NOTE["text"]
    assert filled.delete("/v1/documents/note").json() == {"deleted": 1}
    assert filled.delete("/v1/documents/note").status_code == 404
    assert filled.delete("/v1/documents", params={"where": "year = 2024"}).json() == {"deleted": 1}
    assert filled.get("/v1/search", params={"q": RENAL}).json() == {"hits": []}


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("year BETWEEN 2000 AND 2030", ["label"]),
        ("year>=2020", ["label"]),
        ("NOT kind = 'label'", ["note"]),
        ("(year < 2000 OR tags CONTAINS 'fda') AND id != 'label'", ["note"]),
        ("title IS NOT NULL AND kind LIKE 'lab%'", ["label"]),
    ],
)
def test_filters_are_those_of_the_library(filled, where, expected):
    found = filled.get("/v1/search", params={"q": RENAL, "where": where}).json()["hits"]
    assert [hit["doc_id"] for hit in found] == expected
    assert filled.delete("/v1/documents", params={"where": where}).json() == {"deleted": 1}


@pytest.mark.parametrize("where", ["year >", "year = ", "(", "year => 2020", "1 = 1 = 1"])
def test_what_is_no_filter_is_refused_by_the_library(filled, where):
    refused = filled.get("/v1/search", params={"q": RENAL, "where": where})
    assert (refused.status_code, refused.json()["code"]) == (422, "filter_syntax")


def test_a_batch_is_stored_whole_or_not_at_all(filled):
    more = {**NOTE, "id": "more"}
    refused = filled.post("/v1/documents", json={"documents": [more, NOTE]})
    assert (refused.status_code, refused.json()["code"]) == (409, "duplicate_id")
    assert filled.get("/v1/documents/more").status_code == 404
    replaced = filled.post("/v1/documents", json={"documents": [more, NOTE], "on_conflict": "replace"}).json()
    assert (replaced["added"], replaced["replaced"], replaced["unchanged"]) == (1, 0, 1)


def test_tenants_see_nothing_of_each_other(filled):
    other = GLOBEX
    assert filled.get("/v1/search", params={"q": RENAL}, headers=other).json() == {"hits": []}
    assert filled.get("/v1/documents/label", headers=other).status_code == 404
    assert filled.delete("/v1/documents", params={"where": "year > 0"}, headers=other).json() == {"deleted": 0}
    ours = filled.post("/v1/documents", json={"documents": [{**NOTE, "id": "label"}]}, headers=other)
    assert ours.status_code == 201
    assert filled.get("/v1/documents/label").json()["title"] == "Metformin label"


def test_context_is_cited_and_within_its_budget(filled):
    found = filled.post("/v1/context", json={"question": RENAL, "max_tokens": 200}).json()
    assert 0 < found["tokens"] <= 200
    cited = found["citations"][0]
    assert cited["doc_id"] == "label" and cited["marker"] in found["text"]
    assert LABEL["text"][cited["start"] : cited["end"]] in found["text"]


def test_experts_are_named_or_nobody_is(client):
    found = client.post("/v1/agents/match", json={"question": "Is a 510(k) needed for our ECG app?", "k": 3}).json()["matches"]
    assert len(found) == 3 and all(0 <= one["confidence"] <= 1 for one in found)
    assert any("510" in one["agent"] or "device" in (one["agent"] + one["name"]).lower() for one in found)
    nonsense = client.post("/v1/agents/match", json={"question": "qwertz uiop", "abstain": True}).json()
    assert nonsense == {"matches": []}


def test_consensus_is_that_of_the_library(client):
    votes = [("q1", "ann", "yes"), ("q1", "bob", "yes"), ("q1", "eve", "no"), ("q2", "ann", "no"), ("q2", "bob", "no")]
    items, raters, labels = zip(*votes, strict=True)
    body = {"votes": [{"item": i, "rater": r, "label": v} for i, r, v in votes]}
    for method in ("majority_vote", "dawid_skene", "one_coin", "glad", "mace", "wawa"):
        found = client.post("/v1/consensus", json={**body, "method": method}).json()
        expected = getattr(quorate.consensus, method)(items, raters, labels)
        assert found["labels"] == expected.labels
        assert found["probabilities"]["q1"] == pytest.approx(expected.probabilities["q1"])
        assert found["alpha"] == pytest.approx(quorate.consensus.krippendorff_alpha(items, raters, labels).value)


def test_an_ingest_tells_how_far_it_is(client):
    documents = [{"id": f"d{i}", "text": f"Document {i} about metformin. " * 20} for i in range(400)]
    started = client.post("/v1/ingest", json={"documents": documents})
    assert started.status_code == 202 and started.json()["status"] == "running"
    job = started.json()["id"]
    told = events(client.get(f"/v1/ingest/{job}/events").text)
    assert [name for _, name, _ in told[:-1]] == ["progress"] * (len(told) - 1)
    counts = [state["done"] for _, _, state in told]
    assert counts == sorted(counts) and told[-1][1] == "done"
    assert told[-1][2]["written"]["added"] == told[-1][2]["done"] == told[-1][2]["total"] == 400
    assert client.get(f"/v1/ingest/{job}").json() == told[-1][2]
    assert client.get("/v1/documents/d399").status_code == 200
    assert client.get(f"/v1/ingest/{job}", headers=GLOBEX).status_code == 404


def test_an_ingest_that_fails_says_why(filled):
    job = filled.post("/v1/ingest", json={"documents": [{**NOTE, "id": "new"}, NOTE]}).json()["id"]
    told = events(filled.get(f"/v1/ingest/{job}/events").text)
    assert told[-1][1] == "failed" and told[-1][2]["problem"]["code"] == "duplicate_id"
    assert filled.get("/v1/documents/new").status_code == 404


def test_an_ingest_can_be_stopped(client):
    documents = [{"id": f"d{i}", "text": f"Document {i} about metformin. " * 200} for i in range(1000)]
    job = client.post("/v1/ingest", json={"documents": documents}).json()["id"]
    assert client.delete(f"/v1/ingest/{job}").status_code == 202
    told = events(client.get(f"/v1/ingest/{job}/events").text)
    assert told[-1][1] == "cancelled"
    assert client.get("/v1/search", params={"q": "metformin"}).json() == {"hits": []}


def test_what_was_stored_is_there_after_a_restart(app, tmp_path):
    for expected in (201, 409):
        with TestClient(app, headers=ACME) as client:
            assert client.post("/v1/documents", json={"documents": [LABEL]}).status_code == expected
    with TestClient(app, headers=ACME) as client:
        job = client.post("/v1/ingest", json={"documents": [{"id": str(i), "text": "x " * 999} for i in range(1000)]}).json()
        assert job["status"] == "running"
    # The service went down with an ingest under way: all of it is there, or nothing.
    with TestClient(app, headers=ACME) as client:
        found = [client.get(f"/v1/documents/{i}").status_code for i in (0, 999)]
        assert found in ([200, 200], [404, 404])


def test_what_would_keep_the_loop_from_its_work_is_refused(client):
    many = [{"id": str(i), "text": "x"} for i in range(1001)]
    votes = [{"item": str(i), "rater": "a", "label": "b"} for i in range(10_001)]
    long = [{"id": str(i), "text": "x" * 1_000_000} for i in range(9)]
    asked = [("/v1/documents", {"documents": many}, 422), ("/v1/consensus", {"votes": votes}, 422), ("/v1/documents", {"documents": long}, 413)]
    for path, body, status in asked:
        answer = client.post(path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, "too_large" if status == 413 else "invalid_request")
    # Its length is not announced.
    answer = client.post("/v1/documents", content=(b" " * 1_000_000 for _ in range(9)), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert client.get("/v1/documents/0").status_code == 404
