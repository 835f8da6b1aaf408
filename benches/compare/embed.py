"""Embedding speed, exactness and quality beside ONNX Runtime and sentence-transformers, in one run.

Run: python benches/compare/embed.py --model MODEL_FOLDER --scifact SCIFACT_FOLDER [--texts 1000] [--rounds 3]
     [--precisions f32 int8] [--quality] [--memory]
Needs torch 2.13, transformers, sentence-transformers, onnx, onnxruntime, numpy, and `cargo build --release --examples`.

Speed: SciFact abstracts of at most 256 tokens. quorate and sentence-transformers are timed from text to vectors; ONNX
Runtime (f32, all graph optimisations) is given the same batches, tokenised and sorted by length beforehand, and only
its session is timed, which favours it. Rounds take turns; the best round of each counts.
--exactness: cosine to sentence-transformers on 500 abstracts and 200 queries. --quality: nDCG@10 of exact search on all of
SciFact test. --memory: peak over 10,000 abstracts.
Last line: a JSON object with all numbers.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from rows import row

ROOT = Path(__file__).resolve().parents[2]
BATCH = 32


def read_jsonl(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def document(row):
    return f"{row.get('title', '')} {row['text']}".strip()


class Quorate:
    """Runs the example `embed_texts` in a process of its own."""

    def __init__(self, model, threads, precision):
        target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        self.binary = target / "release" / "examples" / "embed_texts"
        self.model, self.threads, self.precision = model, threads, precision

    def run(self, texts, rounds=1, vectors=False, queries=False):
        with tempfile.TemporaryDirectory() as folder:
            path, out = Path(folder) / "texts.jsonl", Path(folder) / "vectors.f32"
            path.write_text("".join(json.dumps(text) + "\n" for text in texts), encoding="utf-8")
            command = [self.binary, self.model, path, f"precision={self.precision}", f"threads={self.threads}"]
            command += [f"batch_size={BATCH}", f"rounds={rounds}"] + [f"out={out}"] * vectors + ["queries"] * queries
            done = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True)
            report = json.loads(done.stdout)
            return (report, np.fromfile(out, "<f4").reshape(len(texts), -1)) if vectors else report


class OnnxRuntime:
    """all-MiniLM-L6-v2 exported by torch, in the batches that quorate makes."""

    def __init__(self, model, threads, folder):
        import onnxruntime
        import torch
        from transformers import AutoModel, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(model)
        self.tokenizer.model_max_length = 256
        network = AutoModel.from_pretrained(model, attn_implementation="eager", dtype=torch.float32).eval()

        class States(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.network = network

            def forward(self, ids, mask, types):
                return self.network(input_ids=ids, attention_mask=mask, token_type_ids=types).last_hidden_state

        path = str(Path(folder) / "model.onnx")
        sample = self.tokenizer(["one text", "and a longer one"], padding=True, return_tensors="pt")
        names = ["ids", "mask", "types"]
        axes = {name: {0: "batch", 1: "tokens"} for name in names + ["states"]}
        inputs = tuple(sample[name] for name in ["input_ids", "attention_mask", "token_type_ids"])
        with torch.no_grad():
            torch.onnx.export(
                States(), inputs, path, input_names=names, output_names=["states"], dynamic_axes=axes, opset_version=17, dynamo=False
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def batches(self, texts):
        ids = self.tokenizer(texts, truncation=True)["input_ids"]
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        batches = []
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            width = max(len(ids[i]) for i in rows)
            padded = np.zeros((len(rows), width), np.int64)
            mask = np.zeros_like(padded)
            for row, i in enumerate(rows):
                padded[row, : len(ids[i])] = ids[i]
                mask[row, : len(ids[i])] = 1
            batches.append((rows, {"ids": padded, "mask": mask, "types": np.zeros_like(padded)}))
        return batches, sum(map(len, ids))

    def run(self, batches):
        start = time.perf_counter()
        states = [self.session.run(None, feed)[0] for _, feed in batches]
        seconds = time.perf_counter() - start
        vectors = np.zeros((sum(len(rows) for rows, _ in batches), states[0].shape[-1]), np.float32)
        for (rows, feed), state in zip(batches, states):
            mean = (state * feed["mask"][..., None]).sum(1) / feed["mask"].sum(1, keepdims=True)
            vectors[rows] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return seconds, vectors


def speed(arguments, texts, report):
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        onnx = OnnxRuntime(arguments.model, arguments.threads, folder)
        batches, tokens = onnx.batches(texts)
        torch_model = SentenceTransformer(arguments.model, device="cpu")
        quorate = {name: Quorate(arguments.model, arguments.threads, name) for name in arguments.precisions}
        best, seen = {}, {}

        def note(name, seconds):
            best[name] = min(best.get(name, np.inf), seconds)

        for _ in range(arguments.rounds):
            seconds, seen["ONNX Runtime f32"] = onnx.run(batches)
            note("ONNX Runtime f32", seconds)
            for name, system in quorate.items():
                result, seen[f"quorate {name}"] = system.run(texts, vectors=True)
                assert result["tokens"] == tokens, (result["tokens"], tokens)
                note(f"quorate {name}", result["seconds"][0])
            if "torch" not in arguments.without:
                start = time.perf_counter()
                torch_model.encode(texts, batch_size=BATCH, normalize_embeddings=True)
                note("sentence-transformers (torch)", time.perf_counter() - start)
        report["tokens"] = tokens
        report["tokens_per_second"] = {name: tokens / seconds for name, seconds in best.items()}
        base = best["ONNX Runtime f32"]
        print(f"{len(texts)} SciFact abstracts, {tokens} tokens, {arguments.threads} threads, best of {arguments.rounds}")
        for name, seconds in sorted(best.items(), key=lambda item: item[1]):
            print(f"  {name:32} {tokens / seconds:9.0f} tokens/s   {base / seconds:5.2f} x ONNX Runtime f32")
        for name in quorate:
            others = {peer: tokens / seconds for peer, seconds in best.items() if not peer.startswith("quorate")}
            row(f"embedding with MiniLM, {name}", "tokens/s", tokens / best[f"quorate {name}"], others, more_is_better=True)
            cosines = (seen[f"quorate {name}"] * seen["ONNX Runtime f32"]).sum(1)
            print(f"  smallest cosine of quorate {name} to ONNX Runtime f32: {cosines.min():.7f}")


def exactness(arguments, corpus, queries, report):
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(arguments.model, device="cpu")
    documents, questions = [document(row) for row in corpus[:500]], [row["text"] for row in queries[:200]]
    wanted = model.encode(documents + questions, normalize_embeddings=True)
    for name in arguments.precisions:
        system = Quorate(arguments.model, arguments.threads, name)
        found = np.vstack([system.run(documents, vectors=True)[1], system.run(questions, vectors=True, queries=True)[1]])
        report[f"smallest_cosine_{name}"] = float((found * wanted).sum(1).min())
        print(f"  quorate {name}: smallest cosine to sentence-transformers {report[f'smallest_cosine_{name}']:.7f} (500 abstracts, 200 queries)")


def ndcg(scores, ids, relevant):
    order = np.argsort(-scores, kind="stable")[:10]
    gain = sum(relevant.get(ids[i], 0) / np.log2(rank + 2) for rank, i in enumerate(order))
    ideal = sum(grade / np.log2(rank + 2) for rank, grade in enumerate(sorted(relevant.values(), reverse=True)[:10]))
    return gain / ideal


def quality(arguments, corpus, queries, report):
    qrels = {}
    for line in (arguments.scifact / "qrels" / "test.tsv").read_text().splitlines()[1:]:
        query, doc, grade = line.split("\t")
        if int(grade) > 0:
            qrels.setdefault(query, {})[doc] = int(grade)
    texts = {row["_id"]: row["text"] for row in queries}
    ids = [row["_id"] for row in corpus]
    for name in arguments.precisions:
        system = Quorate(arguments.model, arguments.threads, name)
        documents = system.run([document(row) for row in corpus], vectors=True)[1]
        questions = system.run([texts[query] for query in qrels], vectors=True, queries=True)[1]
        values = [ndcg(documents @ question, ids, qrels[query]) for query, question in zip(qrels, questions)]
        report[f"ndcg@10_{name}"] = float(np.mean(values))
        print(f"  quorate {name}: nDCG@10 on SciFact test {np.mean(values):.4f} ({len(values)} queries, exact search)")


def memory(arguments, corpus, report):
    texts = [document(row) for row in corpus]
    texts = (texts * (10_000 // len(texts) + 1))[:10_000]
    for name in arguments.precisions:
        result = Quorate(arguments.model, arguments.threads, name).run(texts)
        weights = (Path(arguments.model) / "model.safetensors").stat().st_size / 2**20
        report[f"memory_above_weights_mb_{name}"] = result["memory_peak_mb"] - weights
        print(f"  quorate {name}: peak {result['memory_peak_mb']:.0f} MB over 10,000 abstracts, weights {weights:.0f} MB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--scifact", type=Path, required=True)
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precisions", nargs="+", default=["f32", "int8"])
    parser.add_argument("--without", nargs="*", default=[], help="parts to leave out: speed, torch")
    for part in ["exactness", "quality", "memory"]:
        parser.add_argument(f"--{part}", action="store_true")
    arguments = parser.parse_args()
    corpus, queries = read_jsonl(arguments.scifact / "corpus.jsonl"), read_jsonl(arguments.scifact / "queries.jsonl")
    report = {}
    if "speed" not in arguments.without:
        speed(arguments, [document(row) for row in corpus[: arguments.texts]], report)
    if arguments.exactness:
        exactness(arguments, corpus, queries, report)
    if arguments.quality:
        quality(arguments, corpus, queries, report)
    if arguments.memory:
        memory(arguments, corpus, report)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
