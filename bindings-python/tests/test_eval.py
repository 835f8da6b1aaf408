"""Are rankings judged and files read as the library does it?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import quorate

FIXTURES = Path(__file__).parents[2] / "rag/tests/fixtures/eval"
RUN = {"q1": {"a": 3.0, "b": 2.0, "c": 1.0}, "q2": {"a": 1.0}}
QRELS = {"q1": {"b": 1, "c": 2}, "q2": {"z": 1}}


def test_evaluate():
    assert quorate.evaluate(RUN, QRELS, metrics=["mrr@10", "p@5"]) == {"mrr@10": 0.25, "p@5": 0.2}
    each = quorate.evaluate(RUN, QRELS, ["mrr@10"], per_query=True)
    assert each == {"q1": {"mrr@10": 0.5}, "q2": {"mrr@10": 0.0}}
    assert set(quorate.evaluate(RUN, QRELS)) == {"ndcg@10", "recall@100", "mrr@10", "map", "p@5"}


def test_compare():
    worse = {q: {d: -s for d, s in docs.items()} for q, docs in RUN.items()}
    found = quorate.compare(RUN, worse, QRELS, metric="ndcg@10", seed=0)
    assert found.difference == pytest.approx(found.a - found.b)
    assert found.wins + found.ties + found.losses == 2 and found.exact


def test_trec_files(tmp_path):
    run = quorate.read_trec_run(FIXTURES / "run.txt")
    path = tmp_path / "copy.txt"
    quorate.write_trec_run(run, path)
    assert quorate.read_trec_run(str(path)) == run
    path.write_text("q Q0 d 1\n")
    with pytest.raises(quorate.InvalidInput, match=r"copy.txt:1:") as caught:
        quorate.read_trec_run(path)
    assert caught.value.code == "load_failed"
    with pytest.raises(quorate.NotFound):
        quorate.read_trec_run(tmp_path / "none")


def test_beir(tmp_path):
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t1\n")
    document = {"_id": "d", "text": "t", "title": "", "metadata": {"year": 2020, "tags": ["a", None, 1.5]}}
    (tmp_path / "corpus.jsonl").write_text(json.dumps(document) + "\n")
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "?"}\n')
    data = quorate.load_beir(tmp_path)
    assert data.corpus == [{"id": "d", "title": "", "text": "t", "metadata": document["metadata"]}]
    assert (data.queries, data.qrels) == ({"q": "?"}, {"q": {"d": 1}})
    with pytest.raises(quorate.NotFound):
        quorate.load_beir(tmp_path, split="train")


@pytest.mark.parametrize(
    ("code", "run", "qrels", "metrics"),
    [
        ("invalid_argument", RUN, QRELS, ["ndgc@10"]),
        ("invalid_argument", [], QRELS, ["map"]),
        ("invalid_argument", {"q": [1]}, QRELS, ["map"]),
        ("invalid_argument", {"q": {"d": "x"}}, QRELS, ["map"]),
        ("invalid_argument", RUN, {"q": {"d": 0.5}}, ["map"]),
        ("invalid_argument", RUN, QRELS, "map"),
        ("not_finite", {"q1": {"d": float("nan")}}, QRELS, ["map"]),
        ("empty_input", RUN, {}, ["map"]),
    ],
)
def test_bad_input(code, run, qrels, metrics):
    with pytest.raises(quorate.InvalidInput) as caught:
        quorate.evaluate(run, qrels, metrics)
    assert caught.value.code == code
