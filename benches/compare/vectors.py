"""How fast is an exact scan beside numpy, usearch and simsimd?

One query at a time against 100,000 x 384 vectors, ten best, one thread, all in one run:

    cargo build --release -p quorate-core --no-default-features --example vector_scan
    python benches/compare/vectors.py target/release/examples/vector_scan

Needs numpy, usearch and simsimd; numkong (simsimd's successor) is taken along when it is there.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import json
import subprocess
import sys
import tempfile
import time

import numpy as np
import simsimd
from rows import row
from usearch.index import MetricKind, search

ROWS, DIM, QUERIES, SECONDS = 100_000, 384, 200, 1.5


def milliseconds(one_query, per_call=1):
    one_query(0)
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS:
        one_query(done % QUERIES)
        done += 1
    return (time.perf_counter() - start) * 1e3 / done / per_call


def main(binary):
    rng = np.random.default_rng(7)
    unit = lambda n: (lambda v: v / np.linalg.norm(v, axis=1, keepdims=True))(rng.standard_normal((n, DIM), np.float32))
    rows, queries = unit(ROWS), unit(QUERIES)
    codes = lambda v: np.round(v / np.abs(v).max(axis=1, keepdims=True) * 127).astype(np.int8)
    rows8, queries8 = codes(rows), codes(queries)

    def top10(scores):
        best = np.argpartition(scores, -10)[-10:]
        return best[np.argsort(-scores[best])]

    def numpy_scan(i):
        return top10(rows @ queries[i])

    def simsimd_scan(matrix, points):
        # Distances: the ten smallest of 1 - product, or the ten largest products.
        return lambda i: top10(np.asarray(simsimd.cdist(points[i : i + 1], matrix, metric="dot", threads=1)).reshape(-1))

    def usearch_scan(matrix, points):
        return lambda i: search(matrix, points[i], 10, MetricKind.IP, exact=True, threads=1)

    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("rows.f32", "queries.f32")]
        rows.tofile(paths[0])
        queries.tofile(paths[1])
        ours = json.loads(subprocess.check_output([binary, *paths, str(DIM), str(SECONDS)]))
    assert ours["first"] == numpy_scan(0).tolist(), "quorate and numpy disagree"

    peers = {
        "f32": {
            "numpy": milliseconds(numpy_scan),
            "simsimd": milliseconds(simsimd_scan(rows, queries)),
            "usearch": milliseconds(usearch_scan(rows, queries)),
        },
        "int8": {
            "simsimd": milliseconds(simsimd_scan(rows8, queries8)),
            "usearch": milliseconds(usearch_scan(rows8, queries8)),
        },
        "f32 batch of 64": {
            "numpy": milliseconds(lambda _: [top10(line) for line in queries[:64] @ rows.T], 64),
            "usearch": milliseconds(lambda _: search(rows, queries[:64], 10, MetricKind.IP, exact=True, threads=1), 64),
        },
    }
    try:
        import numkong

        scan = lambda m, p: lambda i: top10(np.asarray(numkong.cdist(p[i : i + 1], m, "dot")).reshape(-1).astype(np.float32))
        peers["f32"]["numkong"] = milliseconds(scan(rows, queries))
        peers["int8"]["numkong"] = milliseconds(scan(rows8, queries8))
    except Exception as reason:  # an optional peer
        print(f"numkong left out: {reason}", file=sys.stderr)
    mine = {"f32": "f32_top10_ms", "int8": "int8_top10_ms", "f32 batch of 64": "f32_batch64_ms_per_query"}
    print(json.dumps(ours))
    print(f"| {ROWS:,} x {DIM}, ms a query | quorate ({ours['instruction_set']}) | best peer | times as fast | all peers |\n|---|---|---|---|---|")
    for name, times in peers.items():
        best = min(times, key=times.get)
        own = ours[mine[name]]
        every = ", ".join(f"{peer} {t:.2f}" for peer, t in times.items())
        print(f"| {name} | {own:.2f} | {best} {times[best]:.2f} | {times[best] / own:.2f} | {every} |")
        row(f"exact scan of {ROWS:,} x {DIM}, {name}, one thread", "ms a query", own, times)


if __name__ == "__main__":
    main(sys.argv[1])
