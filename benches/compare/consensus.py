"""Truth inference and alpha beside crowd-kit and krippendorff, in one run, with the ratios.

Needs: numpy pandas crowd-kit krippendorff, and `cargo build --release -p quorate-consensus --example compare_consensus`.
Run: python benches/compare/consensus.py [dawid_skene glad mace alpha] [--binary PATH]
Seconds of quorate include building the data from three integer arrays.
"""

import argparse
import json
import os
import pathlib
import subprocess
import tempfile
import time

import numpy as np
from rows import row

ROOT = pathlib.Path(__file__).resolve().parents[2]


def labels(items, raters, classes, votes, seed=0):
    """(n, 3) array of item, rater, label; raters are right with a probability of their own."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, items)
    skill = rng.uniform(0.4, 0.95, raters)
    item = np.repeat(np.arange(items), votes)
    rater = (rng.integers(0, raters, items)[:, None] + np.cumsum(rng.integers(1, raters // votes, (items, votes)), axis=1)) % raters
    rater = rater.ravel()
    right = rng.random(len(item)) < skill[rater]
    label = np.where(right, truth[item], (truth[item] + rng.integers(1, classes, len(item))) % classes)
    return np.stack([item, rater, label], axis=1), truth


def ours(binary, method, data, *rest):
    with tempfile.NamedTemporaryFile(suffix=".bin") as file:
        data.astype("<u4").tofile(file.name)
        out = subprocess.run([binary, method, file.name, *map(str, rest)], check=True, capture_output=True, text=True).stdout
    return json.loads(out)


def timed(run):
    start = time.perf_counter()
    out = run()
    return time.perf_counter() - start, out


def report(name, target, peer_name, peer, mine, note):
    seconds = mine["build"] + mine["run"]
    print(f"{name:<44} quorate {seconds:8.4f} s   {peer_name} {peer:8.3f} s   ratio {peer / seconds:8.1f}   (target {target})   {note}", flush=True)
    row(name, "s", seconds, {peer_name: peer})


def truth_inference(binary, name, size, make, target, *rest):
    import pandas as pd

    data, truth = labels(*size)
    mine = ours(binary, name, data, *rest)
    frame = pd.DataFrame(data, columns=["task", "worker", "label"])
    seconds, result = timed(lambda: make().fit_predict(frame))
    theirs = result.reindex(range(size[0])).to_numpy()
    same = (theirs == np.array(mine["labels"])).mean()
    note = f"same labels {same:.4f}; right: quorate {(truth == mine['labels']).mean():.4f}, peer {(truth == theirs).mean():.4f}; {mine['iterations']} iterations"
    report(f"{name}, {len(data):,} labels", target, "crowd-kit", seconds, mine, note)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="*", default=["dawid_skene", "glad", "mace", "alpha"])
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser.add_argument("--binary", default=str(target / "release/examples/compare_consensus"))
    arguments = parser.parse_args()
    if "dawid_skene" in arguments.what:
        from crowdkit.aggregation import DawidSkene

        truth_inference(arguments.binary, "dawid_skene", (100_000, 2_000, 5, 10), lambda: DawidSkene(n_iter=20, tol=-1e300), ">= 20", 20)
    if "glad" in arguments.what:
        from crowdkit.aggregation import GLAD

        # crowd-kit stops when a gain divided by votes x classes is below 1e-5; ours is told to stop at the same gain.
        truth_inference(arguments.binary, "glad", (5_000, 100, 5, 5), GLAD, ">= 100", 100, 1e-5 * 25_000 * 5)
    if "mace" in arguments.what:
        from crowdkit.aggregation import MACE

        truth_inference(arguments.binary, "mace", (5_000, 100, 5, 5), MACE, ">= 100")
    if "alpha" in arguments.what:
        import krippendorff

        # As sparse as the labels of the Dawid-Skene run: the peer needs a table of raters x items.
        data, _ = labels(20_000, 2_000, 5, 10)
        table = np.full((2_000, 20_000), np.nan)
        table[data[:, 1], data[:, 0]] = data[:, 2]
        mine = ours(arguments.binary, "alpha", data, 0)
        seconds, value = timed(lambda: krippendorff.alpha(table, level_of_measurement="nominal"))
        report("alpha, nominal, 200,000 labels", ">= 50", "krippendorff", seconds, mine, f"difference {abs(value - mine['value']):.1e}")
        mine = ours(arguments.binary, "alpha", data, 1_000)
        print(f"alpha with 1,000 bootstrap rounds: {mine['build'] + mine['run']:.4f} s (target < 2 s), interval {mine['low']:.4f} to {mine['high']:.4f}")


if __name__ == "__main__":
    main()
