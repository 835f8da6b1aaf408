"""How good are vectors, on collections that the model has not been taught?

`Evaluation` holds the texts once; give it a function from texts to rows and it prints
SciFact test nDCG@10, dense and fused with BM25 (bm25s, k1 1.2, b .75, English stemming and stop words; min-max
convex at equal weights and RRF with k = 60, both 1,000 deep); the MedQuAD and PubMedQA hold-outs and XQuAD
(question -> text, nDCG@10); CLINC150 and BANKING77 test accuracy of the nearest class centroid.
"""

import csv
import json
from pathlib import Path

import numpy as np

from texts import held_out, read_jsonl

DEPTH = 1000


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = {}
    with open(path, encoding="utf-8") as f:
        for row in csv.DictReader(f, delimiter="\t"):
            if int(row["score"]) > 0:
                qrels.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
    return qrels


def ndcg(scores: np.ndarray, relevant: list[np.ndarray], k: int = 10) -> float:
    """Mean nDCG@k of binary judgements; one row of scores and one array of relevant columns a query."""
    total = 0.0
    for row, rel in zip(scores, relevant):
        top = np.argsort(-row, kind="stable")[:k]
        gain = 1 / np.log2(np.arange(len(top)) + 2)
        total += gain[np.isin(top, rel)].sum() / gain[: len(rel)].sum()
    return total / len(relevant)


class Retrieval:
    """A collection in BEIR layout."""

    def __init__(self, folder: Path, split: str = "test", keep_query=lambda q: True):
        corpus = read_jsonl(folder / "corpus.jsonl")
        queries = {q["_id"]: q["text"] for q in read_jsonl(folder / "queries.jsonl")}
        qrels = read_qrels(folder / f"qrels/{split}.tsv")
        self.docs = [f"{d['title']} {d['text']}".strip() for d in corpus]
        at = {d["_id"]: i for i, d in enumerate(corpus)}
        ids = [q for q in qrels if keep_query(q)]
        self.queries = [queries[q] for q in ids]
        self.relevant = [np.array([at[d] for d in qrels[q] if d in at]) for q in ids]


def bm25_scores(r: Retrieval) -> np.ndarray:
    import bm25s
    import Stemmer

    stemmer = Stemmer.Stemmer("english")
    index = bm25s.BM25(k1=1.2, b=0.75)
    index.index(bm25s.tokenize(r.docs, stopwords="en", stemmer=stemmer, show_progress=False), show_progress=False)
    tokens = bm25s.tokenize(r.queries, stopwords="en", stemmer=stemmer, show_progress=False, return_ids=False)
    return np.stack([index.get_scores(t) for t in tokens])


def top_only(scores: np.ndarray, depth: int) -> np.ndarray:
    """NaN outside the first `depth` of each row."""
    out = np.full(scores.shape, np.nan, np.float32)
    for o, s in zip(out, scores):
        top = np.argsort(-s, kind="stable")[:depth]
        o[top] = s[top]
    return out


def convex(a: np.ndarray, b: np.ndarray, alpha: float = 0.5) -> np.ndarray:
    def scale(x):
        low, high = np.nanmin(x, 1, keepdims=True), np.nanmax(x, 1, keepdims=True)
        return np.nan_to_num((x - low) / np.maximum(high - low, 1e-9))

    return alpha * scale(top_only(a, DEPTH)) + (1 - alpha) * scale(top_only(b, DEPTH))


def rrf(a: np.ndarray, b: np.ndarray, k: int = 60) -> np.ndarray:
    out = np.zeros(a.shape, np.float32)
    for scores in (a, b):
        for o, s in zip(out, scores):
            top = np.argsort(-s, kind="stable")[:DEPTH]
            o[top] += 1 / (k + 1 + np.arange(len(top)))
    return out


class Evaluation:
    def __init__(self, data: Path, cache: Path | None = None):
        titles = {d["_id"]: d["title"] for d in read_jsonl(data / "retrieval/medquad/corpus.jsonl")}
        self.sets = {
            "scifact": Retrieval(data / "retrieval/scifact"),
            "medquad": Retrieval(data / "retrieval/medquad", keep_query=lambda q: held_out(titles[q[1:]], 20)),
            "pubmedqa": Retrieval(data / "retrieval/pubmedqa", keep_query=lambda q: held_out(q[1:], 10)),
            "xquad": Retrieval(data / "retrieval/xquad_en"),
        }
        with open(data / "agents/clinc150.json", encoding="utf-8") as f:
            clinc = json.load(f)
        banking = {}
        for split in ("train", "test"):
            with open(data / f"agents/banking77_{split}.csv", encoding="utf-8") as f:
                banking[split] = [(r["text"], r["category"]) for r in csv.DictReader(f)]
        self.classes = {"clinc": (clinc["train"], clinc["test"]), "banking": (banking["train"], banking["test"])}
        self.bm25 = None
        self.bm25_path = cache / "bm25_scifact.npy" if cache else None

    def lexical(self) -> np.ndarray:
        if self.bm25 is None:
            if self.bm25_path and self.bm25_path.exists():
                self.bm25 = np.load(self.bm25_path)
            else:
                self.bm25 = bm25_scores(self.sets["scifact"])
                if self.bm25_path:
                    np.save(self.bm25_path, self.bm25)
        return self.bm25

    def run(self, embed) -> dict[str, float]:
        out = {}
        for name, r in self.sets.items():
            dense = embed(r.queries) @ embed(r.docs).T
            out[name] = ndcg(dense, r.relevant)
            if name == "scifact":
                out["convex"] = ndcg(convex(dense, self.lexical()), r.relevant)
                out["rrf"] = ndcg(rrf(dense, self.lexical()), r.relevant)
        for name, (train, test) in self.classes.items():
            labels = sorted({label for _, label in train})
            at = {label: i for i, label in enumerate(labels)}
            centroid = np.zeros((len(labels), 0))
            v = embed([t for t, _ in train])
            centroid = np.zeros((len(labels), v.shape[1]), np.float32)
            np.add.at(centroid, [at[label] for _, label in train], v)
            centroid /= np.linalg.norm(centroid, axis=1, keepdims=True)
            guess = (embed([t for t, _ in test]) @ centroid.T).argmax(1)
            out[name] = float(np.mean(guess == [at[label] for _, label in test]))
        return out


def table(results: dict[str, dict[str, float]]) -> str:
    names = list(next(iter(results.values())))
    lines = ["variant".ljust(34) + "".join(n.rjust(9) for n in names)]
    lines += [v.ljust(34) + "".join(f"{r[n]:9.4f}" for n in names) for v, r in results.items()]
    return "\n".join(lines)
