"""Does bad input raise the right exception with its code?"""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import quorate
from quorate import consensus

FAMILIES = [
    quorate.InvalidInput, quorate.NotFound, quorate.Conflict, quorate.Locked, quorate.Corrupt, quorate.Unavailable,
    quorate.Cancelled, quorate.Unsupported,
]


def test_hierarchy():
    assert all(issubclass(family, quorate.QuorateError) for family in FAMILIES)
    assert issubclass(quorate.InvalidInput, ValueError)
    error = quorate.QuorateError("internal", "oh")
    assert (error.code, error.message) == ("internal", "oh")
    again = pickle.loads(pickle.dumps(quorate.Conflict("duplicate_id", "x")))
    assert (type(again), again.code, again.message) == (quorate.Conflict, "duplicate_id", "x")
    assert {"invalid_argument", "internal", "cancelled"} <= set(quorate.ERROR_CODES)


def fails(code, family, call, *args, **kwargs):
    with pytest.raises(quorate.QuorateError) as caught:
        call(*args, **kwargs)
    assert (caught.value.code, type(caught.value)) == (code, family), caught.value
    return caught.value.message


SURROGATE = "\ud800"
alpha = consensus.krippendorff_alpha


@pytest.mark.parametrize(
    ("code", "data"),
    [
        ("invalid_shape", ([1, 2], [1], [1, 2])),
        ("invalid_shape", [[1, 2], [1]]),
        ("invalid_shape", np.zeros(3)),
        ("invalid_shape", np.zeros((2, 2, 2))),
        ("invalid_shape", [1, 2, 3]),
        ("invalid_argument", "text"),
        ("invalid_argument", 5),
        ("invalid_argument", {"a": [1], "b": [2]}),
        ("invalid_argument", np.zeros((2, 2), dtype=complex)),
        ("invalid_argument", np.zeros((2, 2), dtype="datetime64[s]")),
        ("invalid_argument", ([1], ["a"], [None])),
        ("invalid_argument", ([1], ["a"], [2**70])),
        ("invalid_argument", ([1], ["a"], [object()])),
        ("invalid_argument", ("ab", ["a", "b"], [1, 2])),
        ("not_finite", ([1.0], ["a"], [float("nan")])),
        ("not_finite", [[1.0, float("inf")], [1.0, 2.0]]),
        ("invalid_text", ([1], ["a"], [SURROGATE])),
        ("empty_input", ([], [], [])),
        ("empty_input", []),
    ],
)
def test_bad_ratings(code, data):
    fails(code, quorate.InvalidInput, alpha, data)


def test_other_families():
    fails("duplicate_entry", quorate.Conflict, alpha, ([1, 1], ["a", "a"], [1, 2]))
    fails("unknown_id", quorate.NotFound, consensus.majority_vote, ([1], ["a"], [1]), weights={"b": 2.0})
    message = fails("invalid_argument", quorate.InvalidInput, alpha, [[1, 2], [1, 2]], level="cardinal")
    assert "'ordinal'" in message


def test_bad_numbers():
    invalid = quorate.InvalidInput
    fails("invalid_argument", invalid, consensus.linear_pool, [0.5, 1.5])
    fails("not_finite", invalid, consensus.linear_pool, [0.5, float("nan")])
    fails("invalid_argument", invalid, consensus.linear_pool, [0.5, "x"])
    fails("invalid_argument", invalid, consensus.linear_pool, [0.5, None])
    fails("invalid_shape", invalid, consensus.linear_pool, [0.5, 0.5], [1.0])
    fails("invalid_shape", invalid, consensus.linear_pool, np.zeros((2, 2, 2)))
    fails("invalid_shape", invalid, consensus.linear_pool, [[0.5, 0.5], [1.0]])
    fails("invalid_shape", invalid, consensus.order_effect, [1, 2, 3], [1, 2, 3, 4])
    fails("invalid_argument", invalid, consensus.brier_score, [0.5], [0.7])
    fails("invalid_argument", invalid, consensus.surprisingly_popular, [-1], [[0.5, 0.5]])
    fails("unknown_id", quorate.NotFound, consensus.surprisingly_popular, [5], [[0.5, 0.5]])
    fails("invalid_argument", invalid, consensus.cohen_kappa, [1, 2], [1, 2], weights="cubic")


def test_bad_rankings():
    invalid = quorate.InvalidInput
    fails("invalid_argument", invalid, consensus.borda, ["ab", "ba"])
    fails("invalid_argument", invalid, consensus.borda, [[1, "1"]])
    fails("invalid_argument", invalid, consensus.borda, [[object()]])
    fails("invalid_shape", invalid, consensus.borda, [["a", "b"]], weights=[1, 2])
    fails("invalid_shape", invalid, consensus.bradley_terry, [("a",)])
    with pytest.raises(quorate.QuorateError):
        consensus.borda([["a", "a"]])


def test_bad_ballots():
    invalid = quorate.InvalidInput
    fails("invalid_argument", invalid, consensus.score_panel, [{"choice": "x"}])
    fails("invalid_argument", invalid, consensus.score_panel, [{"voter": "a"}])
    fails("invalid_argument", invalid, consensus.score_panel, [{"voter": "a", "choice": "x", "number": 1}])
    fails("invalid_argument", invalid, consensus.score_panel, [{"voter": "a", "chioce": "x"}])
    fails("invalid_argument", invalid, consensus.score_panel, {"a": "x", "b": 1.0})
    fails("invalid_text", invalid, consensus.score_panel, {"a": SURROGATE})
    fails("empty_input", invalid, consensus.score_panel, [])
    fails("invalid_argument", invalid, consensus.score_panel, {"a": 1.0}, scale=[1])
    fails("invalid_argument", invalid, consensus.score_panel, {"a": 1.0}, scale="low")
    fails("invalid_argument", invalid, consensus.delphi_round, [1, 2], scale=5)
    twice = [{"voter": "a", "choice": "x"}, {"voter": "a", "choice": "y"}]
    fails("duplicate_entry", quorate.Conflict, consensus.score_panel, twice)


def test_a_generator_that_raises_keeps_its_own_exception():
    def texts():
        yield "one"
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        quorate.Embedder("builtin").embed(texts())
