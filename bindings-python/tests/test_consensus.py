"""Do published answers come back through Python?"""

from __future__ import annotations

import asyncio
import copy
import csv
import json
import math
import os
import pickle
import signal
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

import quorate
from quorate import consensus

N = None
FOUR_BY_TWELVE = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
    [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
]
SCHULZE = {
    tuple(order): votes
    for order, votes in {
        "ACBED": 5, "ADECB": 5, "BEDAC": 8, "CABED": 3, "CAEBD": 7, "CBADE": 2, "DCEBA": 7, "EBADC": 8,
    }.items()
}
TENNESSEE = {tuple("MNCK"): 42, tuple("NCKM"): 26, tuple("CKNM"): 15, tuple("KCNM"): 17}


def near(value, tolerance=1e-6):
    return pytest.approx(value, abs=tolerance)


@pytest.mark.parametrize(
    ("level", "value"), [("nominal", 0.743421), ("ordinal", 0.815388), ("interval", 0.849107), ("ratio", 0.797403)]
)
def test_alpha(level, value):
    as_array = np.array(FOUR_BY_TWELVE, dtype=float)
    for data in (FOUR_BY_TWELVE, as_array, np.asfortranarray(as_array), as_array.astype("float32")):
        assert consensus.krippendorff_alpha(data, level=level).value == near(value)


def test_alpha_forms_of_data():
    triples = [(i, r, v) for r, row in enumerate(FOUR_BY_TWELVE) for i, v in enumerate(row) if v is not None]
    items, raters, values = (list(column) for column in zip(*triples))
    expected = near(0.743421)
    tables = [
        {"items": items, "raters": raters, "values": values},
        {"task": items, "worker": [f"w{r}" for r in raters], "label": [f"l{v}" for v in values]},
        {"item": np.array(items), "rater": np.array([f"w{r}" for r in raters]), "value": np.array(values, dtype="int8")},
    ]
    for data in [(items, raters, values), (np.array(items)[::1], raters, np.array(values, dtype=float)), *tables]:
        assert consensus.krippendorff_alpha(data).value == expected
    assert consensus.krippendorff_alpha(items, raters, values).value == expected
    assert consensus.krippendorff_alpha(items=items, raters=raters, values=values).value == expected
    reversed_twice = np.array(items)[::-1], np.array(raters)[::-1], np.array(values)[::-1]  # not contiguous
    assert consensus.krippendorff_alpha(reversed_twice).value == expected
    made = consensus.ratings(items, raters, values)
    assert (len(made), made.raters, made.categories) == (41, [0, 1, 2, 3], [1, 2, 3, 4, 5])
    assert consensus.krippendorff_alpha(made).value == expected


def test_alpha_from_pandas():
    pandas = pytest.importorskip("pandas")
    triples = [(i, f"w{r}", v) for r, row in enumerate(FOUR_BY_TWELVE) for i, v in enumerate(row) if v is not None]
    frame = pandas.DataFrame(triples, columns=["task", "worker", "label"])
    assert consensus.krippendorff_alpha(frame).value == near(0.743421)
    frame["worker"] = frame["worker"].astype("category")
    assert consensus.krippendorff_alpha(frame).value == near(0.743421)


def test_alpha_bootstrap_is_seeded():
    first = consensus.krippendorff_alpha(FOUR_BY_TWELVE, bootstrap=500, seed=7)
    again = consensus.krippendorff_alpha(FOUR_BY_TWELVE, bootstrap=500, seed=7)
    assert first == again
    assert first.low < first.value < first.high


def test_chance_corrected_coefficients():
    c = consensus
    assert c.gwet_ac(FOUR_BY_TWELVE).value == near(0.77544, 1e-5)
    assert c.gwet_ac(FOUR_BY_TWELVE, weights="quadratic").value == near(0.914, 5e-4)
    assert c.fleiss_kappa(FOUR_BY_TWELVE).value == near(0.76117, 1e-5)
    assert c.brennan_prediger(FOUR_BY_TWELVE).value == near(0.77273, 1e-5)
    # The published value is for a copy of the data where the lone rating of the last unit is by the third coder.
    copy = [list(row) for row in FOUR_BY_TWELVE]
    copy[1][11], copy[2][11] = None, 3
    assert c.conger_kappa(copy).value == near(0.76282, 1e-5)
    assert 0 < c.light_kappa(FOUR_BY_TWELVE).value < 1
    assert 0 < c.percent_agreement(FOUR_BY_TWELVE).value < 1
    two = [FOUR_BY_TWELVE[0], FOUR_BY_TWELVE[1]]
    assert c.scott_pi(two).method == "scott_pi"


def test_fleiss_from_counts():
    counts = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]
    assert consensus.fleiss_kappa(counts=counts).value == near(0.20993, 1e-5)
    assert consensus.fleiss_kappa(counts=np.array(counts)).value == near(0.20993, 1e-5)


def test_cohen():
    table = [[0, 4, 1], [0, 8, 0], [0, 1, 5]]
    pairs = [(i, j) for i, row in enumerate(table) for j, n in enumerate(row) for _ in range(n)]
    a, b = zip(*pairs)
    assert consensus.cohen_kappa(list(a), list(b)).value == near(0.4842, 1e-4)
    assert consensus.cohen_kappa(np.array(a), np.array(b), weights="linear").value == near(0.4701, 1e-4)
    own = [[1.0, 0.5, 0.0], [0.5, 1.0, 0.5], [0.0, 0.5, 1.0]]
    assert consensus.cohen_kappa(list(a), list(b), weights=own).value == near(0.4701, 1e-4)


def test_kendall_and_icc():
    siegel = [[1, 6, 3, 2, 5, 4], [1, 5, 6, 4, 2, 3], [6, 3, 2, 5, 4, 1]]
    assert consensus.kendall_w(siegel).value == near(0.161905)
    shrout = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]).T
    for form, value in {"1,1": 0.17, "2,1": 0.29, "3,1": 0.71, "1,k": 0.44, "2,k": 0.62, "3,k": 0.91}.items():
        assert consensus.icc(shrout, form=form).value == near(value, 0.005)


def test_undefined_is_said():
    alpha = consensus.krippendorff_alpha([[1, 1], [1, 1]])
    assert alpha.value is None and alpha.undefined
    assert "undefined=" in repr(alpha)


def anaesthetist():
    folder = Path(__file__).parents[2] / "consensus/tests/fixtures"
    with open(folder / "dawid_skene_anaesthetist.csv", newline="") as file:
        rows = [row for row in csv.reader(line for line in file if not line.startswith("#"))]
    return rows


def test_dawid_skene_on_the_anaesthetists():
    header, *rows = anaesthetist()
    assert header[:3] == ["item", "worker", "label"]
    # The first anaesthetist judged three times (w1 to w3).
    raters = ["w1" if row[1] in ("w2", "w3") else row[1] for row in rows]
    items, values = [int(row[0]) for row in rows], [int(row[2]) for row in rows]
    truth = consensus.dawid_skene(items, raters, values, duplicates="keep")
    assert truth.log_likelihood[:3] == near([-205.091138, -194.550952, -193.159445], 1e-5)
    assert truth.log_likelihood[-1] == near(-192.890881, 1e-5)
    assert truth.converged
    assert truth.class_shares == near([0.399555, 0.421983, 0.111795, 0.066667], 1e-3)
    assert truth.labels[7] == 1
    assert truth.probabilities[7][1] == near(0.981, 2e-3)
    assert truth.confusion[truth.raters[0]].shape == (4, 4)
    assert truth.confusion[truth.raters[0]].sum(axis=1) == near(np.ones(4))
    assert truth.probability_array.shape == (45, 4)


@pytest.mark.parametrize(
    "method",
    ["majority_vote", "dawid_skene", "one_coin", "glad", "mace", "kos", "wawa", "zero_based_skill", "m_msr"],
)
def test_every_method_finds_the_plain_truth(method):
    truth = {f"q{i}": ("yes" if i % 3 else "no") for i in range(30)}
    rows = []
    for q, answer in truth.items():
        wrong = "no" if answer == "yes" else "yes"
        for n in range(5):
            rows.append((q, f"good{n}", answer if hash_of(q, n) % 10 else wrong))
    found = getattr(consensus, method)(tuple(map(list, zip(*rows))))
    assert found.labels == truth
    assert set(found.skills) == {f"good{n}" for n in range(5)}
    assert found.probabilities["q1"]["yes"] > 0.5
    assert method in repr(found)


def hash_of(q, n):
    return int(q[1:]) * 7 + n * 13


def test_gold_and_weights():
    rows = (["q", "q", "q"], ["a", "b", "c"], [1, 2, 2])
    assert consensus.majority_vote(rows, weights={"a": 5}).labels == {"q": 1}
    assert consensus.dawid_skene(rows, gold={"q": 1}).labels == {"q": 1}


def test_pools():
    p = [0.9, 0.7, 0.6]
    assert consensus.linear_pool(p) == near(0.733333)
    assert consensus.log_pool(p) == near(0.759510)
    assert consensus.extremized_pool(p) == near(0.946596)
    assert consensus.extremized_pool(np.array(p, dtype="float32"), None, a=2.5) == near(0.946596)
    rows = np.array([[0.9, 0.1], [0.7, 0.3], [0.6, 0.4]])
    pooled = consensus.linear_pool(rows, [1, 1, 2])
    assert isinstance(pooled, np.ndarray) and pooled == near([0.7, 0.3])
    assert consensus.linear_pool(np.asfortranarray(rows), np.array([1, 1, 2])) == near([0.7, 0.3])


def test_density_pool():
    pool = consensus.density_pool([0.9, 0.7, 0.6])
    assert pool.eigenvalues == near([0.97702, 0.02298], 1e-5)
    assert pool.entropy == near(0.15789, 1e-5)
    split = consensus.density_pool([0.95, 0.95, 0.05])
    assert (split.purity, split.entropy, split.jensen_shannon) == near((0.64, 0.78735, 0.64767), 5e-3)
    assert sum(f.weight for f in split.factions) == near(1)


def test_order_effect():
    o = consensus.order_effect([0.579153, 0.410880, 0.004136, 0.005831], [0.283951, 0.201449, 0.213567, 0.301033])
    assert o.q == near(0) and o.effect > 0.4 and o.z is None


def test_swarms():
    bees = consensus.honeybee([5.0, 4.5], 2.0)
    assert bees.shares == near([0.8795, 0.0857], 1e-4) and bees.decision == 0
    assert consensus.honeybee([5.0, 4.5], sigma=0.0, seed=3).shares == near([0.5693, 0.4161], 1e-4)
    p = [[0.9, 0.1], [0.7, 0.3], [0.6, 0.4]]
    assert consensus.swarm_pool(p, seed=1).pooled == near(consensus.linear_pool(p), 1e-4)
    assert consensus.swarm_pool(p, objective="kl_from_pool").pooled == near(consensus.log_pool(p), 1e-4)


def test_votes():
    assert consensus.schulze(SCHULZE).ranking == list("EACBD")
    kemeny = consensus.kemeny(SCHULZE)
    assert (kemeny.orders[0], kemeny.agreement, kemeny.exact) == (list("EBADC"), 260, True)
    kemeny = consensus.kemeny(list(TENNESSEE), weights=list(TENNESSEE.values()))
    assert (kemeny.ranking, kemeny.agreement) == (list("NCKM"), 393)
    assert consensus.borda(TENNESSEE).scores == {"N": 194, "C": 173, "M": 126, "K": 107}
    runoff = consensus.instant_runoff(TENNESSEE)
    assert runoff.winner == "K" and runoff.rounds[0].tallies["M"] == 42
    for method in (consensus.copeland, consensus.ranked_pairs, consensus.minimax):
        assert method(TENNESSEE).winner == "N"
    tied = consensus.borda([["a", "b"], ["b", "a"]])
    assert tied.winner is None and tied.tiers == [["a", "b"]]
    assert consensus.borda([[["a", "b"], "c"]]).scores == {"a": 1.5, "b": 1.5, "c": 0.0}


def test_strengths():
    fit = consensus.bradley_terry([(0, 1), (0, 1), (1, 2), (2, 0)])
    assert fit.strengths == near({0: 0.419617624, 1: -0.419617624, 2: 0.0}, 1e-8)
    luce = consensus.plackett_luce([[0, 1, 2], [3, 2, 0], [1, 3]])
    assert list(luce.strengths.values()) == near([-0.443281, 0.695062, -0.670614, 0.418833], 5e-5)
    assert luce.ranking == [1, 3, 0, 2]
    pairs = [("a", "b"), ("a", "b"), ("b", "a"), ("b", "c"), ("b", "c"), ("c", "b"), ("a", "c")]
    assert consensus.rank_centrality(pairs).winner == "a"


def test_delphi():
    verdict = consensus.delphi_round([7] * 7 + [8] * 8)
    assert verdict.ipras == near(6.1) and verdict.disagreement is False and verdict.stop
    two = np.array([[1, 8], [1, 8], [9, 8], [9, np.nan]])
    first = consensus.delphi_round(two)
    assert (first.stop, first.reason, first.median) == (False, "first_round", [5.0, 8.0])
    again = consensus.delphi_round(two, two)
    assert again.stop and again.reason == "stable_dissent" and "0" in again.why
    assert again.stability[0].stable


def test_minority_answers():
    predictions = [[0.9, 0.1], [0.8, 0.2], [0.9, 0.1], [0.7, 0.3], [0.8, 0.2]]
    sp = consensus.surprisingly_popular([0, 0, 0, 1, 1], predictions)
    assert (sp.popular, sp.answers, sp.answer) == ([0], [1], 1)
    bts = consensus.bayesian_truth_serum(["y", "y", "n"], predictions[:3], options=["y", "n"])
    assert sum(bts.scores) == near(0) and set(bts.answers) <= {"y", "n"}


def test_scores_and_cooke():
    assert consensus.brier_score([0.9, 0.2], [True, False]) == near(0.025)
    assert consensus.brier_score(np.array([[0.9, 0.1], [0.2, 0.8]]), [0, 1]) == near(0.05)
    assert consensus.log_score([0.5, 0.5], [1, 0]) == near(math.log(2))
    good = [[8.0, 10.0, 12.0], [18.0, 20.0, 22.0], [28.0, 30.0, 32.0], [38.0, 40.0, 42.0]]
    sure = [[1.0, 1.1, 1.2], [2.0, 2.1, 2.2], [3.0, 3.1, 3.2], [4.0, 4.1, 4.2]]
    cooke = consensus.cooke_weights([good, sure], [9.0, 21.0, 29.0, 41.0])
    assert cooke.weights[0] > 0.999
    assert consensus.cooke_weights(np.array([good, sure]), np.array([9, 21, 29, 41])) == cooke


def test_clusters():
    clusters = consensus.semantic_clusters(np.array([[1, 0], [0.9, 0.1], [0, 1]], dtype="float32"), 0.8)
    assert clusters.clusters == [[0, 1], [2]]
    assert clusters.entropy == near(-(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3)))


def test_panel():
    ballots = [
        {"voter": "ann", "choice": "treat", "confidence": 0.9},
        consensus.Ballot("bob", choice="treat"),
        {"voter": "eve", "position": "wait", "weight": 2.0, "rationale": "r1"},
    ]
    score = consensus.score_panel(ballots)
    assert score.decision is None and set(score.tied) == {"treat", "wait"}
    score = consensus.score_panel(ballots[:2])
    assert (score.decision, score.level, score.support) == ("treat", "unanimous", 1.0)
    score = consensus.score_panel({"a": "x", "b": "x", "c": "y"})
    assert score.level == "moderate" and score.agreement.expected == near(0.5)
    assert score.minority.minorities[0].members[0].voter == "c"
    assert "share 2 / 3" in score.explain()
    assert consensus.score_panel({"a": 3.0, "b": 4, "c": 4.1}).decision == near(4.0)
    assert consensus.score_panel({"a": {"x": 0.9, "y": 0.1}, "b": {"x": 0.6, "y": 0.4}}).decision == "x"
    assert consensus.score_panel({"a": ["x", "y"], "b": ["x", "y"]}).kind == "ranking"
    assert consensus.score_panel({"a": np.array([1.0, 0.0]), "b": [0.9, 0.1]}).kind == "vector"


def test_results_show_themselves_in_notebooks():
    ballots = {"ann": "treat & wait", "bob": "treat & wait", "eve": "wait"}
    for result in (
        consensus.score_panel(ballots),
        consensus.majority_vote([1, 1], ["a", "b"], ["x", "x"]),
        consensus.krippendorff_alpha([[1, 2], [1, 2]]),
        consensus.borda([["a", "b"]]),
        consensus.delphi_round([7, 8, 7]),
        consensus.density_pool([[0.5, 0.5], [0.2, 0.8]]),
    ):
        html = result._repr_html_()
        assert html.startswith("<table>") and type(result).__name__ in html and html.count("<td") > 2
    assert "treat &amp; wait" in consensus.score_panel(ballots)._repr_html_()


def test_members_in_brackets():
    result = consensus.density_pool([[0.5, 0.5], [0.2, 0.8]])
    assert result["purity"] == result.purity and result["factions"][0]["weight"] == result.factions[0].weight
    with pytest.raises(KeyError):
        result["nothing"]
    with pytest.raises(KeyError):
        result["_of"]


RESULTS = {
    "Alpha": lambda: consensus.krippendorff_alpha(FOUR_BY_TWELVE, bootstrap=50),
    "Coefficient": lambda: consensus.gwet_ac(FOUR_BY_TWELVE),
    "KendallW": lambda: consensus.kendall_w([[1, 2, 3], [1, 3, 2]]),
    "Icc": lambda: consensus.icc([[1, 2, 3], [1, 3, 2]]),
    "Truth": lambda: consensus.dawid_skene([[1, 1, 2, 2], [1, 1, 2, 2], [2, 1, 2, 1]]),
    "Truth of glad": lambda: consensus.glad(["q", "q", 2], ["ann", "bob", "ann"], ["x", "y", "x"]),
    "Outcome": lambda: consensus.borda([["a", "b", "c"], ["b", ["a", "c"]]]),
    "Kemeny": lambda: consensus.kemeny([["a", "b"], ["b", "a"], ["a", "b"]]),
    "Runoff": lambda: consensus.instant_runoff([["a", "b"], ["b", "a"], ["a", "b"]]),
    "Strengths": lambda: consensus.bradley_terry([("a", "b"), ("b", "a"), ("a", "b")]),
    "CookeWeights": lambda: consensus.cooke_weights([[[1, 2, 3], [1, 2, 3]]], [1.5, 2.5]),
    "DensityPool": lambda: consensus.density_pool([[0.5, 0.5], [0.2, 0.8]]),
    "OrderEffect": lambda: consensus.order_effect([10, 5, 3, 2], [8, 4, 4, 4]),
    "SurprisinglyPopular": lambda: consensus.surprisingly_popular([0, 1], [[0.9, 0.1], [0.8, 0.2]]),
    "TruthSerum": lambda: consensus.bayesian_truth_serum([0, 1], [[0.9, 0.1], [0.8, 0.2]]),
    "DelphiRound": lambda: consensus.delphi_round([[7, 2], [8, 9]], previous=[[7, 3], [6, 9]]),
    "Honeybee": lambda: consensus.honeybee([5.0, 4.5]),
    "SwarmPool": lambda: consensus.swarm_pool([0.2, 0.8], max_iter=20),
    "SemanticClusters": lambda: consensus.semantic_clusters([[1.0, 0.0], [0.0, 1.0]]),
    "PanelScore": lambda: consensus.score_panel({"ann": "yes", "bob": "yes", "eve": "no"}),
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_survive_pickle_copies_and_json(name):
    result = RESULTS[name]()
    first = json.loads(result.to_json())
    assert first and isinstance(result.to_dict(), dict)
    for twin in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result), copy.copy(result)):
        assert type(twin) is type(result) and json.loads(twin.to_json()) == first
    assert set(dict(result)) == set(result.keys())


def test_a_truth_as_a_dict_has_what_it_found():
    truth = RESULTS["Truth"]()
    found = dict(truth)
    assert found["labels"] == truth.labels and found["skills"] == truth.skills
    written = json.loads(truth.to_json())
    assert written["labels"]["0"] == 1 and len(written["probabilities"]["0"]) == 2
    assert np.array(written["confusion"]["2"]).shape == (2, 2)


def test_tables():
    pandas = pytest.importorskip("pandas")
    truth = RESULTS["Truth"]()
    frame = truth.to_pandas()
    assert isinstance(frame, pandas.DataFrame) and list(frame["item"]) == [0, 1, 2, 3]
    assert list(frame["label"]) == list(truth.labels.values())
    assert frame["p(1)"][0] == near(truth.probabilities[0][1])
    order = RESULTS["Outcome"]().to_pandas()
    assert list(order["option"])[0] in "ab" and order["tier"].is_monotonic_increasing
    assert len(RESULTS["DelphiRound"]().to_pandas()) == 2
    for make in ("to_polars", "to_arrow"):
        pytest.importorskip({"to_polars": "polars", "to_arrow": "pyarrow"}[make])
        assert getattr(truth, make)().shape[0] == 4


def test_the_form_of_a_table_is_said_or_doubted():
    by_raters = [[9, 2, 5, 8], [6, 1, 3, 2]]
    by_items = [list(row) for row in zip(*by_raters)]
    want = consensus.krippendorff_alpha(by_raters, level="interval").value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert consensus.krippendorff_alpha(by_items, level="interval", form="items_x_raters").value == want
        assert consensus.icc(np.array(by_items), data_form="items_x_raters").items == 4
        assert consensus.krippendorff_alpha(by_items, form="raters_x_items").raters == 4
        consensus.krippendorff_alpha(by_raters)
    with pytest.warns(UserWarning, match="4 raters of 2 items.*items_x_raters") as caught:
        consensus.krippendorff_alpha(by_items)
    assert caught[0].filename == __file__
    for wrong in ({"form": "columns"}, {"form": 3}):
        with pytest.raises(quorate.InvalidInput) as error:
            consensus.krippendorff_alpha(by_items, **wrong)
        assert error.value.code == "invalid_argument"
    with pytest.raises(quorate.InvalidInput):
        consensus.krippendorff_alpha(["q"], ["ann"], [1], form="items_x_raters")


def test_the_default_interval_of_alpha_is_over_items():
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 3, 2000)
    table = np.where(draw.random((5, 2000)) < 0.8, truth, draw.integers(0, 3, (5, 2000)))
    alpha = consensus.krippendorff_alpha(table, bootstrap=300)
    assert alpha == consensus.krippendorff_alpha(table, bootstrap=300, resample="items")
    assert alpha.high - alpha.low < 0.1 and alpha.low < alpha.value < alpha.high


def test_bounds_have_codes():
    many = [f"q{i}" for i in range(20_000)]
    calls = {
        "majority_vote": lambda: consensus.majority_vote(many * 2, ["a"] * 20_000 + ["b"] * 20_000, many * 2),
        "restarts": lambda: consensus.mace(["q", "q"], ["a", "b"], ["x", "y"], restarts=2**63 - 1),
        "max_iter": lambda: consensus.zero_based_skill(["q", "q"], ["a", "b"], ["x", "y"], max_iter=2**40),
        "particles": lambda: consensus.swarm_pool([0.2, 0.8], particles=2**40),
        "max_orders": lambda: consensus.kemeny([["a", "b"]], max_orders=2**40),
        "vectors": lambda: consensus.semantic_clusters(np.ones((20_000, 2))),
        "counts": lambda: consensus.fleiss_kappa(counts=[[2**32 - 1, 1]]),
    }
    for name, call in calls.items():
        with pytest.raises(quorate.QuorateError) as error:
            call()
        assert error.value.code == "too_large", name


def test_wrong_values_are_refused_with_a_code():
    long = "x" * 200_000
    calls = [
        lambda: consensus.borda([["a", "b"]], [True]),
        lambda: consensus.borda([["a", True]]),
        lambda: consensus.borda([["a", {}]]),
        lambda: consensus.krippendorff_alpha(FOUR_BY_TWELVE, level="bipolar", poles="ab"),
        lambda: consensus.krippendorff_alpha(FOUR_BY_TWELVE, level="bipolar", poles=[1]),
        lambda: consensus.delphi_round([7, 8], scale=(1, 2, 3)),
        lambda: consensus.delphi_round([7, 8], scale=None),
        lambda: consensus.score_panel({"a": 3.0}, scale="x"),
        lambda: consensus.surprisingly_popular([[], []], [[0.5, 0.5], [0.5, 0.5]], options=["a", "b"]),
        lambda: consensus.surprisingly_popular(3, [[0.5, 0.5]], options=["a", "b"]),
        lambda: consensus.surprisingly_popular([long], [[0.5, 0.5]], options=["a", "b"]),
        lambda: consensus.dawid_skene([[1, 2], [1, 2]], gold=[1]),
        lambda: consensus.dawid_skene({long: [1]}),
        lambda: consensus.majority_vote(["q"], ["a"], ["x"], weights={"b" * 200_000: 1.0}),
        lambda: consensus.majority_vote(["q"], ["a"], ["x"], weights=[1.0]),
    ]
    for i, call in enumerate(calls):
        with pytest.raises(quorate.QuorateError) as error:
            call()
        assert len(str(error.value)) < 4_000, i


def test_work_ends_with_the_task_that_waits_for_it():
    table = np.random.default_rng(0).integers(0, 5, (10, 2000)).astype(float)

    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(quorate.aio.run(consensus.krippendorff_alpha, table, bootstrap=1_000_000), 0.3)
        before = time.process_time()
        await asyncio.sleep(1)
        return time.process_time() - before

    assert asyncio.run(main()) < 0.5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_computes():
    many = np.random.default_rng(0).integers(0, 3, (20, 5000))
    calls = [
        lambda: consensus.krippendorff_alpha(many, bootstrap=50),
        lambda: consensus.mace(many, restarts=2, max_iter=3),
        lambda: consensus.dawid_skene(many, max_iter=3),
        lambda: consensus.glad(many, max_iter=3),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for call in calls:
            call()
            child = os.fork()
            if child == 0:
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(20)
                try:
                    call()
                    os._exit(0)
                except BaseException:
                    os._exit(3)
            assert os.waitpid(child, 0)[1] == 0
