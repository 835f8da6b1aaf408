"""Routing questions to agents: quorate against semantic-router, with the same vectors, in one run.

    pip install semantic-router==1.1.1 numpy
    cargo build --release -p quorate-agents --example routing_eval
    python benches/compare/routing.py --model MINILM_FOLDER --data ~/.cache/quorate/data/routing --work SCRATCH_FOLDER

`--model builtin` takes the built-in model. The vectors come from quorate's embedder, so no other is needed.

Prints CLINC150 and BANKING77 and the healthcare catalogue (quorate alone), the healthcare routing evaluation that
comes with semantic-router (both), and the time of a match on the healthcare catalogue (both).

The healthcare routing evaluation has questions for seven routes and questions for none. quorate gets the training
questions as examples, the training part's questions for none as stated out of scope, and fits its confidence to these
alone. semantic-router is asked in two ways: as it is, and with the questions for none as a route of their own.
Measures: top-1 of the test questions that have a route; AUROC of the confidence, questions with a route against those
for none, validation and test part together (13 of 48 are for none; the test part has 3); accuracy on the test part,
abstentions included, at the threshold that is best on the validation part, and at quorate's own, 1/2.
"""

import argparse
import csv
import json
import subprocess
import time
from pathlib import Path

import numpy as np
from rows import row

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--model", required=True)
parser.add_argument("--data", required=True, type=Path)
parser.add_argument("--work", required=True, type=Path)
parser.add_argument("--binary", default="target/release/examples/routing_eval")
parser.add_argument("--mode", default="test", choices=["fit", "tune", "test"])
parser.add_argument("--fresh", action="store_true", help="embed again")
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
parts = {part: [[r["utterance"], r["expected_route"]] for r in rows if r["split"] == part] for part in ("train", "validation", "test")}
sets["hc_train"] = [row for row in parts["train"] if row[1]]
sets["hc_train_none"] = [row for row in parts["train"] if not row[1]]
sets |= {f"hc_{part}": parts[part] for part in ("validation", "test")}
for name, questions in sets.items():
    (args.work / f"{name}.json").write_text(json.dumps(questions))


def run(*arguments):
    command = [args.binary, args.work, *arguments]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


if args.fresh or not (args.work / "texts.json").exists():
    run("embed", args.model)
report = run(args.mode)
if args.mode != "test":
    print(json.dumps(report, indent=2))
    raise SystemExit
known = json.loads((args.work / "texts.json").read_text())
vectors = dict(zip(known["texts"], np.load(args.work / "texts.npy")))

from semantic_router import IndexedRouter, Route  # noqa: E402
from semantic_router.encoders import DenseEncoder  # noqa: E402
from semantic_router.index import LocalIndex  # noqa: E402


class Known(DenseEncoder):
    """Vectors computed above."""

    name: str = "known"

    def __call__(self, docs):
        return [vectors[doc].tolist() for doc in docs]


NOBODY = "nobody"


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
    return {
        "top1": accuracy(inside, -1e9),
        "auroc": auroc(validation + test),
        "auroc_test": auroc(test),
        "accuracy_at_fitted_threshold": accuracy(test, best_threshold(validation)),
    }


def ask(router, questions):
    results = []
    for text, label in questions:
        choice = router(text)
        score = choice.confidence or 0.0
        # A route for nobody is an abstention: the surer, the less it is anybody's.
        results.append((label, "", -score) if choice.name == NOBODY else (label, choice.name or "", score))
    return results


def theirs(questions):
    router = router_of(questions)
    return summary(ask(router, sets["hc_validation"]), ask(router, sets["hc_test"]))


routing = report.pop("healthcare_routing")
report["healthcare_routing"] = {
    f"quorate_by_{by}": summary(*([(r["label"], r["route"], r[by]) for r in routing[p]] for p in ("validation", "test")))
    for by in ("in_scope", "confidence")
} | {
    "quorate_accuracy_at_own_threshold": accuracy([(r["label"], r["route"], r["in_scope"]) for r in routing["test"]], 0.5),
    "semantic_router": theirs(sets["hc_train"]),
    "semantic_router_with_a_route_for_nobody": theirs(
        sets["hc_train"] + [[text, NOBODY] for text, _ in sets["hc_train_none"]]
    ),
}

# Time of a match on the healthcare catalogue.
examples = known["catalogue"]
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
healthcare = report["healthcare_routing"]
own, peers = healthcare["quorate_by_in_scope"], (healthcare["semantic_router"], healthcare["semantic_router_with_a_route_for_nobody"])
for measure, unit in [("top1", "top-1"), ("accuracy_at_fitted_threshold", "accuracy with abstention"), ("auroc", "AUROC")]:
    row("healthcare routing", unit, own[measure], {"semantic-router": max(peer[measure] for peer in peers)}, more_is_better=True)
row("match in the healthcare catalogue", "us, p50", speed["match_us_p50"], {"semantic-router": speed["semantic_router_us_p50"]})
