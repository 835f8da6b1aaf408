"""Routing questions to agents: quorate against semantic-router, with the same MiniLM vectors, in one run.

    pip install semantic-router==1.1.1 sentence-transformers
    cargo build --release -p quorate-agents --example routing_eval
    python benches/compare/routing.py --model MINILM_FOLDER --data FOLDER_WITH_clinc150.json --work SCRATCH_FOLDER

Prints CLINC150 and BANKING77 (quorate alone: semantic-router's own test data has 7 routes), the healthcare routing
evaluation that comes with semantic-router (both, thresholds chosen on its validation part), and the time of a match
on the healthcare catalogue (both).
"""

import argparse
import csv
import json
import os
import re
import subprocess
import time
from pathlib import Path

import numpy as np

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--model", required=True)
parser.add_argument("--data", required=True, type=Path)
parser.add_argument("--work", required=True, type=Path)
parser.add_argument("--binary", default="target/release/examples/routing_eval")
parser.add_argument("--mode", default="test", choices=["fit", "tune", "test"])
args = parser.parse_args()
args.work.mkdir(parents=True, exist_ok=True)

# The sets, as lists of [text, label]; no label means out of scope.
clinc = json.loads((args.data / "clinc150.json").read_text())
sets = {f"clinc_{part}": clinc[part] for part in ("train", "val", "test")}
sets |= {f"clinc_oos_{part}": [[t, ""] for t, _ in clinc[f"oos_{part}"]] for part in ("train", "val", "test")}
for part in ("train", "test"):
    with open(args.data / f"banking77_{part}.csv", newline="") as file:
        sets[f"banking_{part}"] = [[row["text"], row["category"]] for row in csv.DictReader(file)]
with open(args.data / "healthcare-routing-evaluation.csv", newline="") as file:
    rows = list(csv.DictReader(file))
sets["hc_train"] = [[r["utterance"], r["expected_route"]] for r in rows if r["split"] == "train" and r["expected_route"]]
for part in ("validation", "test"):
    sets[f"hc_{part}"] = [[r["utterance"], r["expected_route"]] for r in rows if r["split"] == part]

# Every text that is embedded: questions, descriptions of one agent for each label, and the healthcare catalogue's.
texts = {text: None for questions in sets.values() for text, _ in questions}
for name in ("clinc_train", "banking_train", "hc_train"):
    for label in sorted({label for _, label in sets[name]}):
        words = label.replace("_", " ")
        texts[f"{words}. {words}"] = None
catalogue = Path(__file__).parents[2] / "agents/catalog/healthcare"
examples = []
for path in sorted(catalogue.glob("*.yaml")):
    agent = name = None
    inside = False
    for line in path.read_text().splitlines():
        if found := re.match(r"  - id: (\S+)", line):
            agent = found[1]
        elif found := re.match(r"    name: (.*)", line):
            name = found[1]
        elif found := re.match(r"    summary: (.*)", line):
            texts[f"{name}. {found[1]}"] = None
        elif line == "        examples:":
            inside = True
        elif inside and (found := re.match(r"          - (.*)", line)):
            examples.append((found[1], agent))
            texts[found[1]] = None
        else:
            inside = False
texts = list(texts)

known = args.work / "texts.json"
if not known.exists() or json.loads(known.read_text()) != texts:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(args.model, device="cpu")
    vectors = model.encode(texts, batch_size=64, normalize_embeddings=True, show_progress_bar=True)
    np.save(args.work / "texts.npy", vectors.astype("<f4"))
    known.write_text(json.dumps(texts))
for name, questions in sets.items():
    (args.work / f"{name}.json").write_text(json.dumps(questions))
vectors = dict(zip(texts, np.load(args.work / "texts.npy")))

output = subprocess.run([args.binary, args.work, args.mode], check=True, stdout=subprocess.PIPE, text=True).stdout
report = json.loads(output)
if args.mode != "test":
    print(output)
    raise SystemExit

from semantic_router import IndexedRouter, Route  # noqa: E402
from semantic_router.encoders import DenseEncoder  # noqa: E402
from semantic_router.index import LocalIndex  # noqa: E402


class Known(DenseEncoder):
    """Vectors computed above."""

    name: str = "known"

    def __call__(self, docs):
        return [vectors[doc].tolist() for doc in docs]


def router_of(questions):
    labels = sorted({label for _, label in questions})
    routes = [Route(name=label, utterances=[t for t, l in questions if l == label]) for label in labels]
    return IndexedRouter(encoder=Known(), routes=routes, index=LocalIndex())


def accuracy(results, threshold):
    """Share of questions that go to the right route, or to none where there is none."""
    hits = sum((route if score >= threshold else "") == label for label, route, score in results)
    return hits / len(results)


def best_threshold(results):
    scores = sorted({score for _, _, score in results})
    return max([0.0, *scores], key=lambda threshold: (accuracy(results, threshold), -threshold))


def auroc(results):
    inside = [score for label, _, score in results if label]
    outside = [score for label, _, score in results if not label]
    wins = sum((a > b) + 0.5 * (a == b) for a in inside for b in outside)
    return wins / (len(inside) * len(outside))


def summary(validation, test):
    inside = [row for row in test if row[0]]
    threshold = best_threshold(validation)
    return {
        "top1": accuracy(inside, -1e9),
        "accuracy_with_abstention": accuracy(test, threshold),
        "auroc": auroc(validation + test),
    }


router = router_of(sets["hc_train"])


def ask(questions):
    choices = [(label, router(text)) for text, label in questions]
    return [(label, choice.name or "", choice.confidence or 0.0) for label, choice in choices]


theirs = summary(ask(sets["hc_validation"]), ask(sets["hc_test"]))
parts = report.pop("healthcare_routing")
ours = {
    by: summary(*([(r["label"], r["route"], r[by]) for r in parts[p]] for p in ("validation", "test")))
    for by in ("score", "confidence")
}
report["healthcare_routing"] = {
    "quorate_by_score": ours["score"],
    "quorate_by_confidence": ours["confidence"],
    "semantic_router": theirs,
}

# Time of a match on the healthcare catalogue.
router = router_of(examples)
times, index_times = [], []
for text, _ in examples:
    start = time.perf_counter()
    router(text)
    times.append(time.perf_counter() - start)
    array = np.array(vectors[text])
    start = time.perf_counter()
    router.index.query(array, top_k=5)
    index_times.append(time.perf_counter() - start)
speed = report["speed"]
speed["semantic_router_us_p50"] = 1e6 * float(np.median(times))
speed["semantic_router_index_us_p50"] = 1e6 * float(np.median(index_times))
speed["times_faster"] = speed["semantic_router_us_p50"] / speed["match_us_p50"]
speed["times_faster_than_index"] = speed["semantic_router_index_us_p50"] / speed["match_us_p50"]
print(json.dumps(report, indent=2))
