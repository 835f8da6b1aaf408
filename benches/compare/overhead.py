"""What a call from Python costs above the same call in Rust: `search_vector` (k = 10) and `match` (k = 5).

Run: python benches/compare/overhead.py --scifact SCIFACT_FOLDER [--queries 200] [--rounds 5]
Needs numpy, the package, and `cargo build --release --example overhead`.

A knowledge base of SciFact's abstracts with the built-in model, the shipped catalogue of agents, and SciFact's queries as
vectors and as questions. Times are medians of single calls in microseconds; Rust and Python take turns, and the best of three
turns counts for each. `used` also reads score, doc_id and text of each hit, or id, score and confidence of each match.
Last line: a JSON object with all numbers.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

import quorate

ROOT = Path(__file__).resolve().parents[2]
TURNS = 3


def median_us(call, inputs, rounds):
    for one in inputs:
        call(one)
    times = []
    for _ in range(rounds):
        for one in inputs:
            start = time.perf_counter_ns()
            call(one)
            times.append(time.perf_counter_ns() - start)
    return statistics.median(times) / 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scifact", required=True)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    binary = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/examples/overhead"
    data = quorate.load_beir(given.scifact)
    questions = list(data.queries.values())[: given.queries]
    with tempfile.TemporaryDirectory() as folder:
        place, file, asked = Path(folder) / "kb", Path(folder) / "vectors.f32", Path(folder) / "questions.txt"
        with quorate.open(place, durability="process") as kb:
            kb.add(data.corpus, on_error="skip")
            kb.compact()
            vectors = kb.embedder.embed_queries(questions)
        vectors.tofile(file)
        asked.write_text("\n".join(question.replace("\n", " ") for question in questions), encoding="utf-8")
        command = [str(binary), str(place), str(file), str(asked), str(given.rounds)]
        registry = quorate.AgentRegistry()
        with quorate.open(place, read_only=True) as kb:
            calls = {
                "search_vector_us": (kb.search_vector, vectors),
                "search_vector_used_us": (
                    lambda vector: [(hit.score, hit.doc_id, hit.text) for hit in kb.search_vector(vector)], vectors
                ),
                "match_us": (registry.match, questions),
                "match_used_us": (lambda q: [(m.id, m.score, m.confidence) for m in registry.match(q)], questions),
            }
            rust, python = {}, {}
            for _ in range(TURNS):
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                for name, value in json.loads(done.stdout).items():
                    rust[name] = min(value, rust.get(name, value))
                for name, (call, inputs) in calls.items():
                    value = median_us(call, inputs, given.rounds)
                    python[name] = min(value, python.get(name, value))
    print(f"numpy {np.__version__}, {len(data.corpus)} documents, {len(questions)} queries, {given.rounds} rounds")
    print(f"{'call':<16} {'Rust us':>9} {'Python us':>10} {'above us':>9} {'used us':>9}")
    numbers = {}
    for name in ("search_vector", "match"):
        alone, bound, used = rust[f"{name}_us"], python[f"{name}_us"], python[f"{name}_used_us"]
        numbers[name] = {"rust_us": alone, "python_us": bound, "above_us": bound - alone, "used_us": used}
        print(f"{name:<16} {alone:9.1f} {bound:10.1f} {bound - alone:9.1f} {used:9.1f}")
    print(json.dumps(numbers))


if __name__ == "__main__":
    main()
