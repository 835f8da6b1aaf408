"""How are cosine and words weighed for `relevance`, and how well does it tell?

`cargo run --release -p quorate-rag --example relevance -- builtin 300 clinc150.json scifact medquad xquad_en > builtin.csv`,
then `python benches/relevance.py builtin.csv`: fits the logistic regressions that stand in rag/src/retrieve/relevance.rs on all
collections, and for each collection on the others alone, which is what the figures of its row are of.
"""

import csv
import sys

import numpy as np


def logit(x, y, weight, ridge=1e-3, rounds=50):
    """Newton's method; the classes weigh alike."""
    x = np.column_stack([np.ones(len(x)), x])
    w = np.zeros(x.shape[1])
    for _ in range(rounds):
        p = 1 / (1 + np.exp(-x @ w))
        penalty = ridge * len(x) * np.r_[0, np.ones(len(w) - 1)] / len(x)
        gradient = x.T @ (weight * (y - p)) - penalty * w
        hessian = (x * (weight * p * (1 - p))[:, None]).T @ x + np.diag(penalty + 1e-9)
        w += np.linalg.solve(hessian, gradient)
    return w


def predict(w, x):
    return 1 / (1 + np.exp(-(w[0] + x @ w[1:])))


def auc(y, p):
    order = np.argsort(p, kind="stable")
    ranks = np.empty(len(p))
    ranks[order] = np.arange(1, len(p) + 1)
    positive = y == 1
    return (ranks[positive].sum() - positive.sum() * (positive.sum() + 1) / 2) / (positive.sum() * (~positive).sum())


def balanced(y):
    return np.where(y == 1, 0.5 / (y == 1).mean(), 0.5 / (y == 0).mean())


def error(y, p, weight):
    """Expected calibration error over ten bins."""
    total = 0.0
    for low in np.arange(0, 1, 0.1):
        inside = (p >= low) & (p < low + 0.1 + (low > 0.85))
        if inside.any():
            share = weight[inside].sum() / weight.sum()
            gap = np.average(p[inside], weights=weight[inside]) - np.average(y[inside], weights=weight[inside])
            total += share * abs(gap)
    return total


def main(path):
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    y = np.array([float(row["about"]) for row in rows])
    x = np.array([[float(row["cosine"]), float(row["words"])] for row in rows])
    of = np.array([row["collection"] for row in rows])
    asked = np.array([row["asked"] for row in rows])
    weight = balanced(y)
    for name, columns in (("both", [0, 1]), ("meaning", [0]), ("words", [1])):
        print(f"{name}: {np.round(logit(x[:, columns], y, weight), 2).tolist()}")
        for held in np.unique(of):
            train, test = of != held, of == held
            w = logit(x[train][:, columns], y[train], balanced(y[train]))
            p = predict(w, x[test][:, columns])
            t = y[test]
            foreign = {other: f"{(p[(t == 0) & (asked[test] == other)] >= 0.5).mean():.3f}" for other in np.unique(asked) if other != held}
            print(
                f"  {held}: AUC {auc(t, p):.3f}, calibration error {error(t, p, balanced(t)):.3f}, "
                f"kept at .5: own {(p[t == 1] >= 0.5).mean():.3f}, foreign {foreign}"
            )


if __name__ == "__main__":
    main(sys.argv[1])
