"""How fast is the dense index beside hnswlib, usearch, zvec and hnsw_rs, at equal recall?

All in one run on the same vectors; queries one at a time on one thread, builds with two:

    cargo build --release -p quorate-rag --features hnsw-rs --example ann_bench
    python benches/compare/ann.py target/release/examples/ann_bench VECTORS.f32 COUNT [PEER,...]

VECTORS holds raw float32 rows of 384 components and unit length (glosses of Open English WordNet embedded with
all-MiniLM-L6-v2, made by `engine_bench vectors`): the first COUNT are stored, the 500 after them are the queries.
Needs numpy, hnswlib, usearch, zvec.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

import hnswlib
import numpy as np
import usearch.index
import zvec
from rows import row

K, DIM, RECALL, QUERIES, THREADS = 10, 384, 0.99, 500, 2
STEPS = [1, 2, 10, 100, 1000]
M, EF_CONSTRUCTION = 16, 200  # hnswlib's and usearch's customary settings; usearch's own expansion is 128


def exact(rows, queries, step):
    keep = np.arange(0, len(rows), step)
    scores = queries @ rows[keep].T
    best = np.argpartition(-scores, K, axis=1)[:, :K]
    order = np.take_along_axis(-scores, best, axis=1).argsort(axis=1)
    return keep[np.take_along_axis(best, order, axis=1)].astype(np.uint32)


def recall(found, truth):
    return float(np.mean([len(np.intersect1d(f, t)) / K for f, t in zip(found, truth)]))


def sweep(widths, batch):
    """The first width that reaches the wanted recall, and what was seen on the way."""
    seen = []
    for ef in widths:
        seen.append(dict(ef=ef, **batch(ef)))
        if seen[-1]["recall"] >= RECALL:
            break
    return seen


def timed(search, truth):
    search()
    start = time.perf_counter()
    found = search()
    return dict(recall=round(recall(found, truth), 4), per_s=round(len(truth) / (time.perf_counter() - start)))


def run_hnswlib(rows, queries, truth):
    index = hnswlib.Index("ip", rows.shape[1])
    index.init_index(len(rows), ef_construction=EF_CONSTRUCTION, M=M)
    start = time.perf_counter()
    index.add_items(rows, num_threads=THREADS)
    build = time.perf_counter() - start
    with tempfile.NamedTemporaryFile() as file:
        index.save_index(file.name)
        stored = os.path.getsize(file.name)

    def batch(ef):
        index.set_ef(ef)
        return timed(lambda: index.knn_query(queries, K, num_threads=1)[0], truth)

    return dict(build_s=build, bytes=stored, seen=sweep([20, 30, 40, 50, 60, 70, 80, 100, 120, 150, 200], batch))


def run_usearch(rows, queries, truth, dtype):
    index = usearch.index.Index(ndim=rows.shape[1], metric="ip", dtype=dtype, connectivity=M, expansion_add=EF_CONSTRUCTION)
    start = time.perf_counter()
    index.add(np.arange(len(rows)), rows, threads=THREADS)
    build = time.perf_counter() - start

    def batch(ef):
        index.expansion_search = ef
        return timed(lambda: index.search(queries, K, threads=1).keys, truth)

    return dict(build_s=build, seen=sweep([32, 64, 100, 150, 250, 400], batch))


def run_zvec(rows, queries, truths):
    zvec.init(log_level=zvec.LogLevel.ERROR, query_threads=1, optimize_threads=THREADS)
    folder = tempfile.mkdtemp()
    fields = [zvec.FieldSchema(f"m{s}", zvec.DataType.INT64, index_param=zvec.InvertIndexParam()) for s in STEPS[1:]]
    graph = zvec.HnswIndexParam(zvec.MetricType.IP, m=M, ef_construction=EF_CONSTRUCTION)
    vector = zvec.VectorSchema("v", zvec.DataType.VECTOR_FP32, rows.shape[1], graph)
    collection = zvec.create_and_open(os.path.join(folder, "z"), zvec.CollectionSchema("z", fields, vector))
    start = time.perf_counter()
    for first in range(0, len(rows), 1000):
        collection.insert(
            [
                zvec.Doc(id=str(i), vectors={"v": rows[i].tolist()}, fields={f"m{s}": i % s for s in STEPS[1:]})
                for i in range(first, min(first + 1000, len(rows)))
            ]
        )
    collection.optimize(zvec.OptimizeOption(concurrency=THREADS))
    build = time.perf_counter() - start
    lists = [q.tolist() for q in queries]

    def loop(step, ef):
        micros, found = [], []
        where = None if step == 1 else f"m{step} = 0"
        param = zvec.HnswQueryParam(ef=ef)
        for q in lists:
            begin = time.perf_counter()
            hits = collection.query(zvec.Query("v", vector=q, param=param), topk=K, filter=where, output_fields=[])
            micros.append((time.perf_counter() - begin) * 1e6)
            found.append([int(h.id) for h in hits])
        return found, micros

    def batch(step, truth):
        def one(ef):
            loop(step, ef)
            found, micros = loop(step, ef)
            mean = sum(micros) / len(micros)
            return dict(recall=round(recall(found, truth), 4), per_s=round(1e6 / mean), p50_us=round(float(np.median(micros)), 1))

        return one

    filters = {step: sweep([50, 80, 120, 200, 300], batch(step, truth)) for step, truth in zip(STEPS, truths)}
    collection.destroy()
    shutil.rmtree(folder, ignore_errors=True)
    return dict(build_s=build, seen=filters.pop(1), filters=filters)


def run_rust(binary, kind, paths, dim, widths, m="16", ef_construction="128"):
    command = [binary, paths["rows"], paths["queries"], str(dim), paths["truth"], kind, m, ef_construction, str(THREADS), *map(str, widths)]
    lines = [json.loads(line) for line in subprocess.check_output(command, text=True).splitlines()]
    seen = {step: [line for line in lines if line.get("one_in") == step] for step in STEPS}
    return dict(head=lines[0], tail=lines[-1], build_s=lines[0]["build_s"], seen=seen.pop(1), filters=seen)


def fastest(seen, least):
    good = [s for s in seen if s["recall"] >= least]
    return max(good, key=lambda s: s["per_s"]) if good else None


def main(binary, vectors, count, only="hnswlib,usearch f32,usearch int8,zvec,hnsw_rs"):
    vectors = np.fromfile(vectors, np.float32).reshape(-1, DIM)
    rows, queries = vectors[: int(count)], vectors[int(count) : int(count) + QUERIES]
    truths = [exact(rows, queries, step) for step in STEPS]
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: os.path.join(folder, name) for name in ("rows", "queries", "truth")}
        rows.tofile(paths["rows"])
        queries.tofile(paths["queries"])
        np.concatenate(truths).tofile(paths["truth"])
        ours = run_rust(binary, "hnsw", paths, rows.shape[1], [24, 32, 40, 48, 56, 64, 80, 96, 128])
        runs = {
            "hnswlib": lambda: run_hnswlib(rows, queries, truths[0]),
            "usearch f32": lambda: run_usearch(rows, queries, truths[0], "f32"),
            "usearch int8": lambda: run_usearch(rows, queries, truths[0], "i8"),
            "zvec": lambda: run_zvec(rows, queries, truths),
            "hnsw_rs": lambda: run_rust(binary, "hnsw_rs", paths, rows.shape[1], [32, 64, 96, 128], ef_construction=str(EF_CONSTRUCTION)),
        }
        peers = {name: runs[name]() for name in only.split(",")}
    print(json.dumps(dict(ours=ours, peers=peers)))
    print(f"\n{len(rows):,} x {rows.shape[1]}, {len(queries)} queries, recall@{K} >= {RECALL}, quorate built with {ours['head']}")
    print("| peer | recall | queries/s | quorate at least as exact: queries/s | times as fast | build s (2 threads) | quorate's build s | times as fast |")
    print("|---|---|---|---|---|---|---|---|")
    for name, peer in peers.items():
        best = fastest(peer["seen"], RECALL) or peer["seen"][-1]
        own = fastest(ours["seen"], max(RECALL, best["recall"])) or fastest(ours["seen"], RECALL)
        print(
            f"| {name} | {best['recall']:.4f} | {best['per_s']:,} | {own['recall']:.4f}: {own['per_s']:,} | {own['per_s'] / best['per_s']:.2f} "
            f"| {peer['build_s']:.1f} | {ours['build_s']:.1f} | {peer['build_s'] / ours['build_s']:.2f} |"
        )
        row(f"HNSW alone, {len(rows):,} rows, recall as {name}'s", "queries/s", own["per_s"], {name: best["per_s"]}, more_is_better=True)
    row(f"HNSW build, {len(rows):,} rows, two threads", "s", ours["build_s"], {name: peer["build_s"] for name, peer in peers.items()})
    memory = ours["head"]["codes"] + ours["head"]["graph"]
    if "hnswlib" in peers:
        print(f"\ncodes + graph {memory:,} bytes, {memory / peers['hnswlib']['bytes']:.3f} of hnswlib's {peers['hnswlib']['bytes']:,}")
        row(f"codes and graph, {len(rows):,} rows", "bytes", memory, {"hnswlib": peers["hnswlib"]["bytes"]})
    print(f"\n{ours['tail']}")
    if "zvec" not in peers:
        return
    print("\n| filter | zvec recall | zvec p50 us | quorate recall | quorate p50 us | times as fast |\n|---|---|---|---|---|---|")
    for step in STEPS[1:]:
        theirs = fastest(peers["zvec"]["filters"][step], RECALL) or peers["zvec"]["filters"][step][-1]
        own = fastest(ours["filters"][step], RECALL) or ours["filters"][step][-1]
        print(f"| {100 / step:g}% | {theirs['recall']:.4f} | {theirs['p50_us']} | {own['recall']:.4f} | {own['p50_us']} | {theirs['p50_us'] / own['p50_us']:.2f} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
