"""Are hits reranked, files read and contexts cited through Python?"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import numpy as np
import pytest

import quorate
import quorate.aio

MODELS = Path(__file__).parents[2] / "core/tests/fixtures/models"
LONG = (
    "Metformin 💊 lowers blood glucose. It is the first choice in type 2 diabetes.\n\n"
    "It is contraindicated below an eGFR of 30. Between 30 and 45 the dose is halved 🧪.\n\n"
    "Stop it before iodinated contrast. Alcohol raises the risk of lactic acidosis."
)
DOCUMENTS = [
    {"id": "metformin", "title": "Metformin", "text": LONG},
    {"id": "insulin", "title": "Insulin", "text": "Insulin lowers blood glucose within minutes to hours."},
    {"id": "sky", "text": "The sky is blue on a clear day."},
]


@pytest.fixture(scope="module")
def kb(tmp_path_factory):
    chunking = {"strategy": "recursive", "max_tokens": 30}
    with quorate.open(tmp_path_factory.mktemp("kb"), durability="process", chunking=chunking) as kb:
        kb.add(DOCUMENTS)
        yield kb


def code_of(call, *args, **kwargs):
    with pytest.raises(quorate.QuorateError) as caught:
        call(*args, **kwargs)
    return caught.value.code


def test_citations_resolve(kb):
    context = kb.context("Which dose of metformin in renal failure?", max_tokens=200)
    assert context.citations and 0 < context.tokens <= 200 and str(context) == context.text
    for citation in context.citations:
        passage = kb.get(citation.doc_id).text[citation.start : citation.end]
        assert passage and passage in context.text and citation.marker in context.text
        assert citation["doc_id"] == citation.doc_id and citation.chunk_id.startswith(citation.doc_id + "#")
    assert "metformin" in {citation.doc_id for citation in context.citations}
    html = context._repr_html_()
    assert "citations" in html and "💊" in html
    json.dumps([dict(citation) for citation in context.citations])
    assert {"marker", "doc_id", "chunk_id", "start", "end", "title"} <= set(context.citations[0])


def test_budget_and_tokenizers(kb):
    words = lambda text: len(text.split())  # noqa: E731
    context = kb.context("glucose", max_tokens=25, tokenizer=words)
    assert context.tokens == words(context.text) <= 25
    assert kb.context("glucose", max_tokens=60, tokenizer=kb.embedder).text == kb.context("glucose", max_tokens=60).text
    assert kb.context("glucose", max_tokens=0).text == ""
    assert kb.context("glucose", where="id = 'nobody'").citations == []
    only = kb.context("glucose", where="id = 'insulin'")
    assert {citation.doc_id for citation in only.citations} == {"insulin"}
    for order in ("score", "document", "lost_in_the_middle"):
        assert kb.context("glucose", order=order).text
    hits = kb.search("glucose", k=20)
    assert kb.context_of(hits, max_tokens=100).text == kb.context("glucose", max_tokens=100).text
    assert code_of(kb.context, "x", order="random") == "invalid_argument"
    assert code_of(kb.context, "x", dedupe=2.0) == "invalid_argument"
    assert code_of(kb.context, "x", tokenizer=5) == "invalid_argument"
    assert code_of(kb.context, "glucose", tokenizer=lambda text: "many") == "invalid_argument"
    assert code_of(kb.context_of, ["text"]) == "invalid_argument"
    with pytest.raises(ZeroDivisionError):
        kb.context("glucose", tokenizer=lambda text: 1 / 0)


def test_rerankers(kb):
    plain = kb.search("blood glucose", k=3)
    for rerank in ("mmr", "late"):
        hits = kb.search("blood glucose", k=3, rerank=rerank)
        assert hits[0].explain().rerank.name == rerank and {h.chunk_id for h in hits} & {h.chunk_id for h in plain}
    model = quorate.CrossEncoder(MODELS / "cross-bert")
    hits = kb.search("blood glucose", k=3, rerank=model)
    assert hits[0].explain().rerank.name == "cross_encoder"
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
    assert code_of(kb.search, "x", rerank="best") == code_of(kb.search, "x", rerank=5) == "invalid_argument"
    assert code_of(kb.search, "x", rerank="mmr", blend=2.0) == "invalid_argument"
    assert code_of(kb.search_vector, plain[0].vector, rerank="late") == "invalid_argument"
    assert kb.search_vector(plain[0].vector, rerank="mmr", k=2)[0].explain().rerank.name == "mmr"


def test_a_function_reranks(kb):
    seen = []

    def longest_first(query, hits):
        seen.append((query, type(hits), len(hits)))
        return [len(hit.text) for hit in hits]

    hits = kb.search("blood glucose", k=2, rerank=longest_first)
    assert seen == [("blood glucose", quorate.Hits, len(kb.search("blood glucose", k=50)))]
    assert len(hits[0].text) >= len(hits[1].text) and hits[0].score == len(hits[0].text)
    assert hits[0].explain().rerank.name == "callback"
    as_array = kb.search("blood glucose", k=2, rerank=lambda q, h: np.array([len(x.text) for x in h], np.float32))
    assert [h.chunk_id for h in as_array] == [h.chunk_id for h in hits]
    assert [len(h) for h in kb.search_batch(["a", "b", "c"], k=2, rerank=longest_first)] == [2, 2, 2]


@pytest.mark.parametrize(
    ("code", "function"),
    [
        ("invalid_shape", lambda query, hits: [1.0]),
        ("not_finite", lambda query, hits: [float("nan")] * len(hits)),
        ("invalid_argument", lambda query, hits: ["x"] * len(hits)),
        ("invalid_argument", lambda query, hits: None),
        ("unknown_id", lambda query, hits: quorate.AgentRegistry(catalog=None).get("nobody")),
    ],
)
def test_a_function_that_gives_nonsense(kb, code, function):
    assert code_of(kb.search, "blood glucose", rerank=function) == code
    assert code_of(kb.search_batch, ["blood glucose", "sky"], rerank=function) == code


def test_a_function_that_raises(kb):
    def refuse(query, hits):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        kb.search("blood glucose", rerank=refuse)

    def inner(query, hits):
        # A function may search again.
        return [kb.search(hit.text, k=1)[0].score for hit in hits]

    assert kb.search("blood glucose", rerank=inner)


def test_search_many(kb):
    hits = kb.search_many(["blood sugar", "glucose", "insulin"], k=3)
    assert hits.query == "blood sugar" and len(hits) == 3 and len(hits[0].explain().queries) > 0
    assert len(kb.search_many(iter([]))) == 0
    assert code_of(kb.search_many, "one text") == "invalid_argument"


def test_files(tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    (files / "a.md").write_text("# Metformin\nLowers glucose.")
    (files / "b.txt").write_text("Insulin.")
    (files / "c.jsonl").write_text('{"id": "c1", "text": "First."}\n{"id": "c2", "text": "Second."}\n')
    (files / "d.bin").write_bytes(b"\x00\x01")
    told = []
    with quorate.open(tmp_path / "kb", durability="process") as kb:
        report = kb.add_files(files / "**" / "*", progress=lambda *news: told.append(news))
        assert (report.added, [s.code for s in report.skipped]) == (4, ["unsupported"])
        assert told[-1] == (4, 4)
        assert {"c1", "c2"} <= set(kb.ids()) and kb.search("glucose")[0].metadata["file_type"]
        again = kb.add_files([str(files / "a.md"), files / "b.txt"])
        assert (again.added, again.replaced, again.unchanged, again.version) == (0, 0, 2, report.version)
        (files / "a.md").write_text("# Metformin\nLowers sugar.")
        assert code_of(kb.add_files, [str(files / "a.md")]) == "duplicate_id"
        again = kb.upsert_files([files / "a.md", str(files / "b.txt")])
        assert (again.replaced, again.unchanged) == (1, 1)
        assert code_of(kb.add_files, files / "d.bin") == "unsupported"
        assert code_of(kb.add_files, files / "nothing.txt") == "not_found"
        assert code_of(kb.add_files, 5) == code_of(kb.add_files, [5]) == "invalid_argument"
        assert code_of(kb.add_files, files / "b.txt", max_bytes=1) == "too_large"
        with pytest.raises(ZeroDivisionError):
            kb.upsert_files(files, progress=lambda done, total: 1 / 0, batch=1)
        (files / "e.jsonl").write_text("{broken\n")
        before = kb.count()
        assert code_of(kb.upsert_files, files / "*.jsonl") == "load_failed"
        report = kb.upsert_files(files / "*.jsonl", on_error="skip")
        assert (report.unchanged, [s.code for s in report.skipped]) == (2, ["load_failed"]) and kb.count() == before


def test_tables_and_folders(tmp_path, monkeypatch):
    files = tmp_path / "files"
    files.mkdir()
    (files / "t.csv").write_text("nr;befund;plz\n1;Colitis;01067\n2;Gangrene;94110\n")
    (files / "a.txt").write_text("First.")
    (files / os.fsdecode(b"caf\xe9.txt")).write_text("Second.")
    csv = {"delimiter": ";", "id": "nr", "text": "befund"}
    with quorate.open(tmp_path / "kb", durability="process") as kb:
        report = kb.sync_files(files, root=files, csv=csv, metadata={"team": "x"}, batch=1)
        assert (report.added, report.updated, report.unchanged, report.deleted, report.skipped) == (4, 0, 0, 0, [])
        assert sorted(kb.ids()) == ["1", "2", "a.txt", "file:caf%E9.txt"]
        stored = kb.get("1")
        assert (stored.text, stored.metadata["plz"], stored.metadata["team"]) == ("Colitis", "01067", "x")
        (files / "t.csv").write_text("nr;befund;plz\n1;Colitis;01067\n")
        (files / "a.txt").unlink()
        report = kb.sync_files(files, root=files, csv=csv, metadata={"team": "x"})
        assert (report.added, report.updated, report.unchanged, report.deleted) == (0, 0, 2, 2)
        assert report["version"] == kb.stats().version
        assert asyncio.run(kb.aio.sync_files(files, root=files, csv=csv, metadata={"team": "x"})).unchanged == 2
        listed = [os.path.join(files, name) for name in os.listdir(files)]
        assert kb.upsert_files(listed, root=files, csv=csv, metadata={"team": "x"}).unchanged == 2
        # However a path is typed.
        monkeypatch.chdir(tmp_path)
        for typed in ["files/t.csv", "./files//t.csv", "kb/../files/t.csv", files / "t.csv"]:
            assert kb.add_files(typed, csv={"id": "plz", "text": "befund", "delimiter": ";"}).added <= 1
        assert kb.get("01067").source == str(files / "t.csv")
        for wrong in [{"delimiter": "ab"}, {"delimiter": "é"}, {"nothing": 1}, {"text": 5}, "a", {"quote": ";", "delimiter": ";"}]:
            assert code_of(kb.add_files, files, csv=wrong) == "invalid_argument", wrong
        assert code_of(kb.add_files, files, csv={"text": "x"}) == "load_failed"
        assert code_of(kb.add_files, files, batch=0) == code_of(kb.add_files, files, batch=-1) == "invalid_argument"
        assert code_of(kb.add_files, files, follow_links="no") == "invalid_argument"
        assert code_of(kb.add_files, "\udcff\ud800") in ("invalid_text", "not_found")
        assert code_of(kb.sync_files, files, metadata=5) == "invalid_document"
        assert code_of(kb.sync_files, tmp_path / "none") == "not_found"


def test_asyncio(kb):
    async def main():
        async def rerank(query, hits):
            await asyncio.sleep(0)
            return [len(hit.text) for hit in hits]

        hits = await kb.aio.search("blood glucose", k=2, rerank=rerank)
        assert hits[0].score == len(hits[0].text)
        assert (await kb.aio.search("blood glucose", k=2, rerank=lambda q, h: [1.0] * len(h)))[0].score == 1.0
        assert (await kb.aio.context("glucose", max_tokens=50, tokenizer=len)).tokens <= 50

    asyncio.run(main())
