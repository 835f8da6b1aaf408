"""Do plots show what they are given?"""

from __future__ import annotations

import subprocess
import sys

import matplotlib
import numpy as np
import pytest

import quorate
from quorate import consensus, plot

matplotlib.use("agg")


@pytest.fixture(autouse=True)
def closed():
    yield
    import matplotlib.pyplot

    matplotlib.pyplot.close("all")


def cells(ax):
    """The numbers of a heat map, and its labels."""
    return np.ma.filled(ax.images[0].get_array(), np.nan), [text.get_text() for text in ax.get_yticklabels()]


VOTES = {
    "items": [1, 2, 3, 1, 2, 3, 1, 2, 3, 9],
    "raters": ["ann"] * 3 + ["bob"] * 3 + ["eve"] * 3 + ["zoe"],
    "values": ["x", "y", "x", "y", "x", "y", "x", "y", "y", "x"],
}


def test_agreement_is_that_of_each_pair():
    table, names = cells(plot.agreement(VOTES, order="given"))
    assert names == ["ann", "bob", "eve", "zoe"]
    expected = [[1, 0, 2 / 3, np.nan], [0, 1, 1 / 3, np.nan], [2 / 3, 1 / 3, 1, np.nan], [np.nan, np.nan, np.nan, 1]]
    np.testing.assert_allclose(table, expected)


@pytest.mark.parametrize(
    ("measure", "function"),
    [
        ("cohen_kappa", consensus.cohen_kappa),
        ("gwet_ac", consensus.gwet_ac),
        ("krippendorff_alpha", consensus.krippendorff_alpha),
    ],
)
def test_measures(measure, function):
    grades = [[1, 2, 3, 3, 2, 1], [1, 2, 3, 2, 2, 2]]
    ax = plot.agreement(np.array(grades), measure=measure)
    assert cells(ax)[0][0, 1] == pytest.approx(function(grades).value)
    with pytest.raises(quorate.InvalidInput, match="known are percent"):
        plot.agreement(grades, measure="luck")


def test_raters_who_agree_stand_together():
    rng = np.random.default_rng(1)
    truths = rng.integers(0, 3, (2, 60))
    rows = [np.where(rng.random(60) < 0.9, truths[r % 2], rng.integers(0, 3, 60)) for r in range(8)]
    names = cells(plot.agreement(np.array(rows)))[1]
    kinds = [int(name) % 2 for name in names]
    assert kinds in ([0] * 4 + [1] * 4, [1] * 4 + [0] * 4) and kinds[0] == 0


def test_factions_show_opinions_and_members():
    pool = consensus.density_pool([[0.9, 0.1], [0.8, 0.2], [0.05, 0.95]])
    left, right = plot.factions(pool, outcomes=["treat", "wait"], experts=["ann", "bob", "eve"]).axes[:2]
    widths = [[bar.get_width() for bar in group] for group in left.containers]
    np.testing.assert_allclose(widths, [pool.pooled, *(faction.opinion for faction in pool.factions)])
    table, names = cells(right)
    np.testing.assert_allclose(table, np.array([faction.overlap for faction in pool.factions]).T)
    assert names == ["ann", "bob", "eve"]
    with pytest.raises(quorate.InvalidInput) as caught:
        plot.factions(pool, experts=["ann"])
    assert caught.value.code == "invalid_shape"


@pytest.fixture(scope="module")
def kb(tmp_path_factory):
    with quorate.open(tmp_path_factory.mktemp("plot")) as kb:
        kb.add([{"id": str(i), "text": f"Metformin {'lowers glucose ' * i} in case {i}."} for i in range(1, 6)])
        yield kb


@pytest.mark.parametrize(
    "how",
    [{"fusion": "convex", "alpha": 0.3}, {"fusion": "rrf"}, {"mode": "lexical"}, {"mode": "dense"}],
    ids=str,
)
def test_bars_add_up_to_the_scores(kb, how):
    hits = kb.search("metformin glucose", k=4, **how)
    ax = plot.scores(hits)
    ends = [max(bar.get_x() + bar.get_width() for bar in ax.patches if round(bar.get_y() + bar.get_height() / 2) == row) for row in range(len(hits))]
    assert ends == pytest.approx([hit.score for hit in hits], rel=1e-4)
    with pytest.raises(quorate.InvalidInput):
        plot.scores([])


QRELS = {f"q{i}": {"a": 1} for i in range(20)}


def test_evaluation_shows_means_with_their_intervals():
    good = {query: {"a": 2.0, "b": 1.0} for query in QRELS}
    mixed = {query: {"a": 2.0, "b": 1.0} if i % 2 else {"b": 2.0, "a": 1.0} for i, query in enumerate(QRELS)}
    ax = plot.evaluation({"good": good, "mixed": mixed}, QRELS, metrics=["mrr@10", "p@5"])
    heights = [[bar.get_height() for bar in group] for group in ax.containers]
    np.testing.assert_allclose(heights, [[1.0, 0.2], [0.75, 0.2]])
    low, high = ax.lines[2].get_ydata()
    assert low < 0.75 < high and 0.1 < high - low < 0.3
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["good", "mixed"]


def test_evaluation_takes_measured_values_and_an_axes():
    import matplotlib.pyplot as plt

    given = plt.subplots()[1]
    ax = plot.evaluation({"a": {"ndcg@10": 0.5, "map": 0.4}, "b": {"ndcg@10": 0.6}}, ax=given)
    assert ax is given and [text.get_text() for text in ax.get_xticklabels()] == ["ndcg@10"]
    assert not ax.lines
    for runs, qrels in (({}, None), ({"run": {"q": {"a": 1.0}}}, None)):
        with pytest.raises(quorate.InvalidInput):
            plot.evaluation(runs, qrels)


def test_matplotlib_waits_for_the_first_plot():
    code = "import sys, quorate, quorate.plot; print('matplotlib' in sys.modules, 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split() == ["False", "False"]
