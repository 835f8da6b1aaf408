"""How good and how fast is the built-in model, as the Rust library computes it?

    python benches/compare/builtin.py --data ../shared/data --model all-MiniLM-L6-v2

embeds SciFact with `core/examples/embed_file.rs`, prints nDCG@10 on the test queries, dense and fused with BM25
(bm25s: k1 1.2, b .75, English stemming and stop words), and tokens a second beside all-MiniLM-L6-v2 on ONNX
Runtime (f32, sorted batches) on the same cores in the same run. Needs numpy, bm25s, PyStemmer, onnxruntime, torch
and transformers (the last two only to export the teacher once).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rows import row

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "models/builtin"))

from evaluate import Retrieval, bm25_scores, convex, ndcg, rrf  # noqa: E402

DENSE_BAR, HYBRID_BAR, SPEED_BAR = 0.55, 0.70, 50


def embed(texts: list[str], folder: Path) -> tuple[np.ndarray, dict]:
    source, target = folder / "in.jsonl", folder / "out.f32"
    source.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts), encoding="utf-8")
    command = ["cargo", "run", "--release", "-q", "-p", "quorate-core", "--example", "embed_file", "--", source, target]
    report = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    return np.fromfile(target, "<f4").reshape(report["texts"], report["dim"]), report


def minilm_speed(model: Path, texts: list[str], cache: Path, threads: int) -> float:
    """Tokens a second, special tokens not counted."""
    import onnxruntime
    from tokenizers import Tokenizer

    import teacher

    if not (cache / "minilm.onnx").exists():
        teacher.export(model, cache / "minilm8.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(cache / "minilm.onnx"), options, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(teacher.MAX_TOKENS)
    teacher.embed(session, [e.ids for e in tokenizer.encode_batch(texts[:16])])
    begin = time.perf_counter()
    encodings = [e.ids for e in tokenizer.encode_batch(texts)]
    teacher.embed(session, encodings)
    return sum(len(e) - 2 for e in encodings) / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("QUORATE_DATA", Path.home() / ".cache/quorate/data")), help="folder that holds scifact/")
    parser.add_argument("--model", type=Path, help="folder of all-MiniLM-L6-v2; without it speed is not compared")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()), help="where the exported teacher is kept")
    args = parser.parse_args()
    scifact = Retrieval(args.data / "scifact")
    with tempfile.TemporaryDirectory() as folder:
        docs, report = embed(scifact.docs, Path(folder))
        queries, _ = embed(scifact.queries, Path(folder))
    dense, lexical = queries @ docs.T, bm25_scores(scifact)
    rows = [
        ("dense", ndcg(dense, scifact.relevant), DENSE_BAR),
        ("BM25", ndcg(lexical, scifact.relevant), None),
        ("hybrid, convex", ndcg(convex(dense, lexical), scifact.relevant), HYBRID_BAR),
        ("hybrid, RRF", ndcg(rrf(dense, lexical), scifact.relevant), None),
    ]
    print("SciFact test, nDCG@10")
    for name, value, bar in rows:
        print(f"  {name:16}{value:.4f}" + (f"  (bar {bar})" if bar else ""))
    speed = report["tokens"] / report["embed_ms"] * 1e3
    print(f"load {report['load_ms']:.1f} ms; {speed:,.0f} tokens/s over {report['tokens']} tokens")
    if args.model:
        reference = minilm_speed(args.model, scifact.docs[:200], args.cache, os.cpu_count() or 1)
        print(f"MiniLM f32, ONNX Runtime: {reference:,.0f} tokens/s; ratio {speed / reference:.0f} (bar {SPEED_BAR})")
        row("embedding with the built-in model", "tokens/s", speed, {"MiniLM on ONNX Runtime": reference}, more_is_better=True)


if __name__ == "__main__":
    main()
