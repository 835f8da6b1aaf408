"""How good and how fast is the whole engine beside its peers, all called from Python, on the same texts and vectors?

    python benches/compare/engine.py --glosses GLOSSES.tsv --vectors VECTORS.f32 --model MINILM_FOLDER --rows 40000
        [--scifact SCIFACT_FOLDER] [--peers "zvec,LanceDB,Chroma,Qdrant local,usearch + bm25s"]

GLOSSES holds Open English WordNet's id, words and gloss; VECTORS the glosses' MiniLM vectors (raw float32), made by `engine_bench vectors`.
Rows are the first ROWS glosses in the order of a hash of their ids, queries the 500 that follow. All times are of one
query or write at a time, text and vector given, ten hits with their ids read. Each engine has a process of its own.

--scifact adds nDCG@10 of each engine's hybrid search (vector search where it has no other) on SciFact's test queries, every
engine with its own fusion and the same vectors: one of each abstract, cut at 256 tokens. quorate is also asked as users
would, with the text alone, which it cuts into chunks.

Qdrant's local mode and Chroma have no lexical leg without a model that must be downloaded. `usearch + bm25s` is what one
would write by hand: both legs 100 deep, reciprocal ranks; a filter keeps what matches of the nearest found (usearch has no
other), and nothing is durable.
"""

import argparse
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rows import row

K, QUERIES, DIM = 10, 500, 384
FILTERS = [2, 10, 100, 1000]
LEAST_RECALL = 0.98


def peak_memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def micros(call, queries, rounds):
    """Microseconds of each call; the first round warms up."""
    times = []
    for round in range(rounds + 1):
        for i in range(queries):
            start = time.perf_counter()
            call(i)
            if round:
                times.append((time.perf_counter() - start) * 1e6)
    return np.percentile(times, [50, 99])


def recall(found, truth):
    return float(np.mean([len(set(f) & set(t)) / max(len(t), 1) for f, t in zip(found, truth)]))


def truth_of(rows, queries, step):
    keep = np.arange(0, len(rows), step)
    scores = queries @ rows[keep].T
    k = min(K, len(keep))
    best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    return [[int(keep[j]) for j in line] for line in best]


class Quorate:
    name = "quorate"

    def __init__(self, data, folder):
        import quorate

        self.data = data
        self.kb = quorate.open(os.path.join(folder, "q"), embedder=data["model"])

    def ingest(self):
        d = self.data
        documents = [
            {"id": str(i), "title": t, "text": g, "metadata": {f"m{s}": i % s for s in FILTERS}}
            for i, (t, g) in enumerate(zip(d["titles"], d["texts"]))
        ]
        self.kb.add(documents, vectors=d["rows"])
        self.kb.compact()

    def hybrid(self, i, step=1):
        where = None if step == 1 else f"m{step} = 0"
        return [h.doc_id for h in self.kb.search(self.data["query_texts"][i], vector=self.data["queries"][i], k=K, where=where)]

    def dense(self, i, step=1):
        where = None if step == 1 else f"m{step} = 0"
        return [h.doc_id for h in self.kb.search_vector(self.data["queries"][i], k=K, where=where)]

    def add_one(self, i):
        d = self.data
        self.kb.add([{"id": f"q{i}", "title": "", "text": d["query_texts"][i]}], vectors=d["queries"][i : i + 1])

    def close(self):
        self.kb.close()


class Zvec:
    name = "zvec"

    def __init__(self, data, folder):
        import zvec

        self.z, self.data = zvec, data
        zvec.init(log_level=zvec.LogLevel.ERROR, query_threads=2, optimize_threads=2)
        text = zvec.FieldSchema("text", zvec.DataType.STRING, index_param=zvec.FtsIndexParam(filters=["lowercase", "stemmer"]))
        fields = [zvec.FieldSchema(f"m{s}", zvec.DataType.INT64, index_param=zvec.InvertIndexParam()) for s in FILTERS]
        graph = zvec.HnswIndexParam(zvec.MetricType.IP, m=16, ef_construction=200)
        schema = zvec.CollectionSchema("z", [text, *fields], zvec.VectorSchema("v", zvec.DataType.VECTOR_FP32, DIM, graph))
        self.collection = zvec.create_and_open(os.path.join(folder, "z"), schema)
        self.lists = [q.tolist() for q in data["queries"]]
        self.param = zvec.HnswQueryParam(ef=120)
        self.fuse = zvec.RrfReRanker()

    def doc(self, id, i, text, vector):
        return self.z.Doc(id=id, vectors={"v": vector.tolist()}, fields={"text": text, **{f"m{s}": i % s for s in FILTERS}})

    def ingest(self):
        d = self.data
        for first in range(0, len(d["rows"]), 1000):
            last = min(first + 1000, len(d["rows"]))
            self.collection.insert([self.doc(str(i), i, f"{d['titles'][i]} {d['texts'][i]}", d["rows"][i]) for i in range(first, last)])
        self.collection.optimize(self.z.OptimizeOption(concurrency=2))

    def hybrid(self, i, step=1):
        where = None if step == 1 else f"m{step} = 0"
        legs = [
            self.z.Query("v", vector=self.lists[i], param=self.param),
            self.z.Query("text", fts=self.z.Fts(match_string=self.data["query_texts"][i])),
        ]
        return [h.id for h in self.collection.query(legs, topk=K, filter=where, output_fields=[], reranker=self.fuse)]

    def dense(self, i, step=1):
        where = None if step == 1 else f"m{step} = 0"
        leg = self.z.Query("v", vector=self.lists[i], param=self.param)
        return [h.id for h in self.collection.query(leg, topk=K, filter=where, output_fields=[])]

    def add_one(self, i):
        self.collection.insert([self.doc(f"q{i}", i, self.data["query_texts"][i], self.data["queries"][i])])

    def close(self):
        self.collection.destroy()


class Lance:
    name = "LanceDB"

    def __init__(self, data, folder):
        import lancedb

        self.data = data
        self.db = lancedb.connect(os.path.join(folder, "l"))

    def table_of(self, ids, titles, texts, vectors):
        import pyarrow as pa

        vector = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), DIM)
        marks = {f"m{s}": pa.array([i % s for i in range(len(ids))]) for s in FILTERS}
        return pa.table({"id": ids, "text": [f"{t} {g}" for t, g in zip(titles, texts)], "vector": vector, **marks})

    def ingest(self):
        d = self.data
        n = len(d["rows"])
        self.table = self.db.create_table("t", self.table_of([str(i) for i in range(n)], d["titles"], d["texts"], d["rows"]))
        self.table.create_fts_index("text")
        self.table.create_index(metric="dot", vector_column_name="vector", index_type="IVF_HNSW_SQ", num_partitions=1)
        for step in FILTERS:
            self.table.create_scalar_index(f"m{step}")

    def hybrid(self, i, step=1):
        d = self.data
        query = self.table.search(query_type="hybrid").vector(d["queries"][i]).text(d["plain"][i]).limit(K).select(["id"])
        if step > 1:
            query = query.where(f"m{step} = 0", prefilter=True)
        return [row["id"] for row in query.to_list()]

    def dense(self, i, step=1):
        query = self.table.search(self.data["queries"][i]).metric("dot").limit(K).ef(120).refine_factor(3).select(["id"])
        if step > 1:
            query = query.where(f"m{step} = 0", prefilter=True)
        return [row["id"] for row in query.to_list()]

    def add_one(self, i):
        d = self.data
        self.table.add(self.table_of([f"q{i}"], [""], [d["query_texts"][i]], d["queries"][i : i + 1]))

    def close(self):
        pass


class Chroma:
    name = "Chroma"
    hybrid = None

    def __init__(self, data, folder):
        import chromadb
        from chromadb.config import Settings

        self.data = data
        client = chromadb.PersistentClient(os.path.join(folder, "c"), Settings(anonymized_telemetry=False))
        self.collection = client.create_collection(
            "glosses", embedding_function=None, configuration={"hnsw": {"space": "ip", "max_neighbors": 16, "ef_construction": 200, "ef_search": 120}}
        )

    def ingest(self):
        d = self.data
        for first in range(0, len(d["rows"]), 5000):
            part = range(first, min(first + 5000, len(d["rows"])))
            self.collection.add(
                ids=[str(i) for i in part],
                embeddings=d["rows"][part.start : part.stop],
                documents=[d["texts"][i] for i in part],
                metadatas=[{f"m{s}": i % s for s in FILTERS} for i in part],
            )

    def dense(self, i, step=1):
        where = None if step == 1 else {f"m{step}": 0}
        return self.collection.query(query_embeddings=self.data["queries"][i : i + 1], n_results=K, where=where, include=[])["ids"][0]

    def add_one(self, i):
        self.collection.add(ids=[f"q{i}"], embeddings=self.data["queries"][i : i + 1], documents=[self.data["query_texts"][i]])

    def close(self):
        pass


class Qdrant:
    name = "Qdrant local"
    hybrid = None

    def __init__(self, data, folder):
        from qdrant_client import QdrantClient, models

        self.data, self.models = data, models
        self.client = QdrantClient(path=os.path.join(folder, "d"))
        self.client.create_collection("d", models.VectorParams(size=DIM, distance=models.Distance.DOT))
        self.lists = [q.tolist() for q in data["queries"]]

    def upsert(self, ids, texts, vectors):
        payloads = [{"text": text, **{f"m{s}": i % s for s in FILTERS}} for i, text in zip(ids, texts)]
        self.client.upsert("d", self.models.Batch(ids=ids, vectors=vectors.tolist(), payloads=payloads))

    def ingest(self):
        d = self.data
        for first in range(0, len(d["rows"]), 5000):
            part = list(range(first, min(first + 5000, len(d["rows"]))))
            self.upsert(part, [d["texts"][i] for i in part], d["rows"][part])

    def dense(self, i, step=1):
        m = self.models
        match = m.Filter(must=[m.FieldCondition(key=f"m{step}", match=m.MatchValue(value=0))]) if step > 1 else None
        return [p.id for p in self.client.query_points("d", query=self.lists[i], limit=K, query_filter=match, with_payload=False).points]

    def add_one(self, i):
        self.upsert([10_000_000 + i], [self.data["query_texts"][i]], self.data["queries"][i : i + 1])

    def close(self):
        self.client.close()


class ByHand:
    name = "usearch + bm25s"
    add_one = None  # bm25s indexes all texts at once
    DEPTH = 100

    def __init__(self, data, folder):
        import bm25s
        import Stemmer
        from usearch.index import Index

        self.data, self.bm25s, self.stemmer = data, bm25s, Stemmer.Stemmer("english")
        self.index = Index(ndim=DIM, metric="ip", dtype="f32", connectivity=16, expansion_add=200, expansion_search=120)
        self.lexical = bm25s.BM25(k1=1.2, b=0.75)

    def tokens(self, texts):
        return self.bm25s.tokenize(texts, stopwords="en", stemmer=self.stemmer, show_progress=False)

    def ingest(self):
        d = self.data
        self.index.add(np.arange(len(d["rows"])), d["rows"], threads=2)
        self.lexical.index(self.tokens([f"{t} {g}" for t, g in zip(d["titles"], d["texts"])]), show_progress=False)

    def dense(self, i, step=1):
        keys = self.index.search(self.data["queries"][i], K if step == 1 else self.DEPTH, threads=1).keys
        return [int(key) for key in keys if key % step == 0][:K]

    def hybrid(self, i, step=1):
        near = self.index.search(self.data["queries"][i], self.DEPTH, threads=1).keys
        words, _ = self.lexical.retrieve(self.tokens([self.data["query_texts"][i]]), k=self.DEPTH, show_progress=False, n_threads=0)
        scores = {}
        for leg in (near, words[0]):
            for rank, key in enumerate(leg):
                if key % step == 0:
                    scores[int(key)] = scores.get(int(key), 0.0) + 1 / (61 + rank)
        return sorted(scores, key=scores.get, reverse=True)[:K]

    def close(self):
        pass


KINDS = [Quorate, Zvec, Lance, Chroma, Qdrant, ByHand]


def measure(kind, data, truths):
    folder, before = tempfile.mkdtemp(), peak_memory()
    try:
        engine = kind(data, folder)
        start = time.perf_counter()
        engine.ingest()
        seen = {"ingest, durable and searchable, s": (time.perf_counter() - start, None)}
        rounds = 1 if kind in (Lance, Chroma, Qdrant) else 2
        queries = 50 if kind is Qdrant else QUERIES  # it looks at every point in Python
        if engine.hybrid:
            seen["hybrid"] = tuple(micros(engine.hybrid, queries, rounds))
        for step, truth in zip([1, *FILTERS], truths):
            call = lambda i, step=step: engine.dense(i, step)
            found = [[int(x) for x in call(i)] for i in range(queries)]
            label = "vector" if step == 1 else f"vector, {100 / step:g}% match"
            seen[f"{label}, recall"] = (recall(found, truth[:queries]), None)
            seen[label] = tuple(micros(call, queries, rounds))
        if engine.hybrid:
            seen["hybrid, 1% match"] = tuple(micros(lambda i: engine.hybrid(i, 100), queries, rounds))
        times = []
        for i in range(200 if engine.add_one else 0):
            start = time.perf_counter()
            engine.add_one(i)
            times.append((time.perf_counter() - start) * 1e6)
        if times:
            seen["add of one"] = tuple(np.percentile(times, [50, 99]))
        seen["peak memory above the data, MiB"] = (peak_memory() - before, None)
        engine.close()
        return seen
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def scifact_of(folder, model):
    import quorate

    data = quorate.load_beir(folder)
    documents = data.corpus
    relevant = {q: grades for q, grades in data.qrels.items() if any(grades.values())}
    embedder = quorate.Embedder(model)
    texts = [data.queries[q] for q in relevant]
    return dict(
        model=model,
        documents=documents,
        ids=[d["id"] for d in documents],
        titles=[d.get("title", "") for d in documents],
        texts=[d["text"] for d in documents],
        rows=embedder.embed([f"{d.get('title', '')} {d['text']}".strip() for d in documents]),
        queries=embedder.embed_queries(texts),
        query_texts=texts,
        plain=[plain(text) for text in texts],
        qrels=relevant,
    )


def quality(kind, data, chunked=False):
    """nDCG@10 of the best search that the engine has, 0 to 1."""
    import quorate

    folder = tempfile.mkdtemp()
    try:
        engine = kind(data, folder)
        if chunked:
            engine.kb.add(data["documents"])
            search = lambda i: [h.doc_id for h in engine.kb.search(data["query_texts"][i], k=K, group_by="doc")]
        else:
            engine.ingest()
            ask = engine.hybrid or engine.dense
            search = lambda i: [data["ids"][int(x)] for x in ask(i)]
        run = {q: {doc: float(-rank) for rank, doc in enumerate(search(i))} for i, q in enumerate(data["qrels"])}
        engine.close()
        return quorate.evaluate(run, data["qrels"], metrics=["ndcg@10"])["ndcg@10"]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def apart(function, *arguments):
    """Runs in a process of its own, so that neither memory nor threads of one engine weigh on the next."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(function, arguments)


def fnv(text):
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = (h ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h


def plain(text):
    """LanceDB's query parser trips over punctuation."""
    return "".join(c if c.isalnum() else " " for c in text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("glosses", "vectors", "model"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--scifact")
    parser.add_argument("--peers", default=",".join(kind.name for kind in KINDS[1:]))
    args = parser.parse_args()
    os.environ.setdefault("LANCE_LOG", "error")  # LanceDB warns of something at each query
    lines = [line.split("\t") for line in Path(args.glosses).read_text().splitlines()]
    lines.sort(key=lambda fields: fnv(fields[0]))
    n = args.rows
    vectors = np.fromfile(args.vectors, np.float32).reshape(-1, DIM)[: n + QUERIES]
    data = dict(
        model=args.model,
        titles=[f[1] for f in lines[:n]],
        texts=[f[2] for f in lines[:n]],
        rows=np.ascontiguousarray(vectors[:n]),
        queries=np.ascontiguousarray(vectors[n:]),
        query_texts=[f[2] for f in lines[n : n + QUERIES]],
        plain=[plain(f[2]) for f in lines[n : n + QUERIES]],
    )
    truths = [truth_of(data["rows"], data["queries"], step) for step in [1, *FILTERS]]
    kinds = [Quorate] + [kind for kind in KINDS[1:] if kind.name in args.peers.split(",")]
    results = {}
    for kind in kinds:
        start = time.perf_counter()
        results[kind.name] = apart(measure, kind, data, truths)
        print(f"{kind.name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    print(f"{n:,} glosses x {DIM}, {QUERIES} queries, {K} hits; microseconds p50 / p99 unless said, from Python\n")
    print("| what | " + " | ".join(results) + " | times as fast as the best peer |\n|---|" + "---|" * (len(results) + 1))
    if args.scifact:
        abstracts = apart(scifact_of, args.scifact, args.model)
        values = {kind.name: apart(quality, kind, abstracts) for kind in kinds}
        print("| nDCG@10 on SciFact, same vectors | " + " | ".join(f"{value:.4f}" for value in values.values()) + " | |")
        own = apart(quality, Quorate, abstracts, True)
        print(f"| nDCG@10 on SciFact, from text alone | {own:.4f} |" + " |" * len(kinds))
        row("SciFact, hybrid, same MiniLM vectors", "nDCG@10", values.pop("quorate"), values, more_is_better=True)
    for what, (own, _) in results["quorate"].items():
        cells, others = [], {}
        for name, seen in results.items():
            if what not in seen:
                cells.append("none")
                continue
            value, p99 = seen[what]
            count = f"{value:.3f}" if value < 100 else f"{value:,.0f}"
            cells.append(count if p99 is None else f"{value:,.0f} / {p99:,.0f}")
            # A search that loses results is no peer in speed.
            if name != "quorate" and seen.get(f"{what}, recall", (1.0, None))[0] >= LEAST_RECALL:
                others[name] = value
        timed = "recall" not in what and others
        print(f"| {what} | " + " | ".join(cells) + f" | {min(others.values()) / own:.2f} |" if timed else f"| {what} | " + " | ".join(cells) + " | |")
        label, _, unit = what.rpartition(", ")
        label, unit = (label, unit) if unit in ("s", "MiB", "recall") else (what, "us, p50")
        row(f"{label}, {n:,} rows", unit, own, others, more_is_better=unit == "recall")


if __name__ == "__main__":
    sys.exit(main())
