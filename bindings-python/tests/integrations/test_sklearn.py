"""Do the estimators answer as crowd-kit does, and behave as scikit-learn expects?"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import quorate
from quorate import consensus
from quorate.integrations import sklearn as truth

# What crowd-kit 1.4.2 answered; consensus/tests/fixtures/make_truth.py made it.
FIXTURE = Path(__file__).parents[3] / "consensus" / "tests" / "fixtures" / "truth.json"
CASES = json.loads(FIXTURE.read_text())["cases"]
ALL = [getattr(truth, name)() for name in truth.__all__]


def votes(case):
    return pd.DataFrame({name: case[name] for name in ("task", "worker", "label")})


@pytest.fixture(params=range(len(CASES)))
def case(request):
    return CASES[request.param]


@pytest.mark.parametrize(
    ("name", "estimator", "tolerance"),
    [
        ("majority_vote", truth.MajorityVote(), 1e-9),
        ("wawa", truth.Wawa(), 1e-9),
        ("zero_based_skill", truth.ZeroBasedSkill(), 1e-9),
        ("glad", truth.GLAD(n_iter=20_000, tol=1e-13), 1e-6),
        ("mace_vb", truth.MACE(n_iter=20_000, tol=1e-13), 1e-6),
    ],
)
def test_probabilities_and_skills_of_crowd_kit(case, name, estimator, tolerance):
    table = estimator.fit_predict_proba(votes(case))
    # Where an item is tied, crowd-kit counts those as right who chose the label that comes first by name; quorate shares the item
    # among all that are tied, since names of labels decide nothing.
    counts = votes(case).groupby(["task", "label"]).size()
    best = counts.groupby("task").transform("max")
    tied = name in ("majority_vote", "wawa") and (counts == best).groupby("task").sum().gt(1).any()
    if name != "wawa" or not tied:
        np.testing.assert_allclose(table.to_numpy(), case[name]["p"], atol=tolerance)
    assert table.index.tolist() == sorted(set(case["task"])) and table.index.name == "task"
    assert table.columns.tolist() == sorted(set(case["label"])) and table.columns.name == "label"
    if "skills" in case[name] and not tied:
        np.testing.assert_allclose(estimator.skills_.to_numpy(), case[name]["skills"], atol=max(tolerance, 1e-9) * 10)
        assert (estimator.skills_.name, estimator.skills_.index.name) == ("skill", "worker")


def test_labels_without_probabilities_are_those_of_the_functions(case):
    # Both methods leave a sign to choose; consensus/tests/truth.rs compares it with crowd-kit's choice.
    data = votes(case)
    if "kos" in case:
        ours, peer = truth.KOS().fit_predict(data).to_numpy(), np.array(case["kos"]["labels"])
        assert (ours == peer).all() or (ours != peer).all()
    assert truth.MMSR().fit_predict(data).to_dict() == consensus.m_msr(data).labels


def test_dawid_skene_tells_what_it_learnt(case):
    data = votes(case)
    model = truth.DawidSkene(n_iter=500, tol=1e-10).fit(data)
    assert model.priors_.sum() == pytest.approx(1.0) and model.priors_.index.tolist() == model.probas_.columns.tolist()
    columns = model.errors_.groupby("worker").sum()
    np.testing.assert_allclose(columns.to_numpy(), 1.0)
    worker, given, right = model.errors_.index[0][0], data.label.min(), data.label.max()
    matrix = model.truth_.confusion[worker]
    names = model.truth_.classes
    assert model.errors_.loc[(worker, given), right] == matrix[names.index(right), names.index(given)]
    gold = data.drop_duplicates("task").set_index("task").label.iloc[:5]
    assert model.fit_predict(data, true_labels=gold).loc[gold.index].tolist() == gold.tolist()


@pytest.mark.parametrize("estimator", ALL, ids=lambda one: type(one).__name__)
def test_same_as_the_functions_and_cloneable(estimator):
    data = votes(CASES[1])
    labels = estimator.fit_predict(data)
    assert (labels.name, labels.index.name, len(labels)) == ("agg_label", "task", 80)
    names = {"MajorityVote": "majority_vote", "OneCoinDawidSkene": "one_coin", "DawidSkene": "dawid_skene"}
    names |= {"ZeroBasedSkill": "zero_based_skill", "MMSR": "m_msr"}
    name = type(estimator).__name__
    expected = getattr(consensus, names.get(name, name.lower()))(data)
    assert labels.to_dict() == expected.labels
    copy = clone(estimator)
    assert copy.get_params() == estimator.get_params() and not hasattr(copy, "labels_")
    pd.testing.assert_series_equal(copy.set_params(**estimator.get_params()).fit_predict(data), labels)
    pd.testing.assert_frame_equal(copy.probas_, estimator.fit_predict_proba(data))
    np.testing.assert_allclose(copy.probas_.sum(axis=1), 1.0)


def test_weighted_votes_and_workers_without_a_skill():
    data = pd.DataFrame({"task": list("qqq"), "worker": ["ann", "bob", "eve"], "label": ["yes", "no", "no"]})
    skills = pd.Series({"ann": 3.0, "bob": 1.0})
    with pytest.raises(quorate.InvalidInput) as caught:
        truth.MajorityVote().fit(data, skills=skills)
    assert caught.value.code == "unknown_id"
    assert truth.MajorityVote(on_missing_skill="ignore").fit_predict(data, skills=skills)["q"] == "yes"
    assert truth.MajorityVote(5.0, "value").fit_predict(data, skills=skills)["q"] == "no"


def test_skills_learnt_weigh_other_tasks():
    learnt = truth.Wawa().fit(votes(CASES[0]))
    workers = learnt.skills_.sort_values().index
    new = pd.DataFrame({"task": ["new"] * 2, "worker": [workers[0], workers[-1]], "label": [0, 1]})
    assert learnt.predict(new)["new"] == 1
    assert learnt.predict_proba(new).loc["new", 1] > 0.5


def test_tables_without_the_columns_are_refused():
    with pytest.raises(quorate.InvalidInput, match="worker is missing"):
        truth.DawidSkene().fit(pd.DataFrame({"task": [1], "label": [1]}))
