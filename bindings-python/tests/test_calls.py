"""Do the calls work that one language had before the others?"""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

import quorate
from quorate import consensus


def documents(n):
    return ({"id": f"d{i}", "text": f"Document {i} on glucose."} for i in range(n))


def test_documents_are_added_as_they_come():
    kb = quorate.open(None)
    steps = list(kb.add_stream(documents(5), batch_size=2))
    assert [(step.added, step.done) for step in steps] == [(2, 2), (2, 4), (1, 5)]
    steps = list(kb.add_stream([{"id": "d0", "text": "new"}, {"id": "e", "text": ""}, {}], batch_size=1, upsert=True, on_error="skip"))
    assert [(step.replaced, [one.index for one in step.skipped]) for step in steps][0] == (1, [])
    assert steps[2].skipped[0].index == 2
    with pytest.raises(quorate.InvalidInput):
        next(kb.add_stream([], batch_size=0))


def test_queries_are_answered_as_they_come():
    kb = quorate.open(None)
    kb.add(documents(5))
    assert [hits[0].doc_id for hits in kb.search_stream((f"Document {i}" for i in range(3)), k=1, mode="lexical")] == ["d0", "d1", "d2"]


def test_streams_under_asyncio():
    async def main():
        async def given():
            for document in documents(5):
                yield document

        kb = quorate.open(None)
        steps = [step.done async for step in kb.aio.add_stream(given(), batch_size=3)]
        queries = [f"Document {i}" for i in range(5)]
        found = [hits[0].doc_id async for hits in kb.aio.search_stream(queries, concurrency=2, k=1, mode="lexical")]
        with pytest.raises(quorate.InvalidInput):
            async for _ in kb.aio.search_stream([], concurrency=0):
                pass
        return steps, found

    assert asyncio.run(main()) == ([3, 5], ["d0", "d1", "d2", "d3", "d4"])


def test_a_match_takes_the_vector_of_its_question():
    registry = quorate.AgentRegistry(tuning={"lexical": 0.0}, policy={"kind": "thompson", "alpha": 0.2, "seed": 7})
    question = "Is a 510(k) needed for our ECG app?"
    vector = quorate.Embedder("builtin").embed_query(question)
    assert [m.id for m in registry.match(question, vector=vector)] == [m.id for m in registry.match(question)]
    with pytest.raises(quorate.InvalidInput) as caught:
        registry.match(question, vector=np.zeros(3, dtype="float32"))
    assert caught.value.code == "invalid_shape"
    assert len(registry.select_panel(question, size=2, learn=False)) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"policy": "guess"}, "policy is 'guess'; it is one of 'lin_ucb', 'thompson'"),
        ({"policy": {"kind": "thompson", "sed": 1}}, "the members of policy have no option 'sed'"),
        ({"tuning": {"nearst": 3}}, "tuning has no member 'nearst'"),
        ({"tuning": {"nearest": "x"}}, "tuning.nearest is a string; a whole number from 0 is expected"),
    ],
)
def test_wrong_settings_of_a_registry_say_where(options, message):
    with pytest.raises(quorate.InvalidInput) as caught:
        quorate.AgentRegistry(catalog=None, **options)
    assert caught.value.code == "invalid_argument" and message in caught.value.message


def test_texts_are_voted_on_and_juries_counted():
    assert consensus.rover(["take one tablet", ["take", "two", "tablets"], "take two tablet daily"]).text == "take two tablet"
    assert round(consensus.condorcet_jury([0.6] * 11).probability, 6) == 0.753498
    online = consensus.OnlineDawidSkene(["no", "yes"], prior_class=1.0, prior_correct=3.0, prior_wrong=1.0, gold={"scan 2": "no"})
    for item, rater, value in (("scan 1", "ann", "yes"), ("scan 1", "bob", "yes"), ("scan 2", "ann", "no")):
        online.add(item, rater, value)
    assert online.probabilities("scan 1")["yes"] > 0.8 and online.confusion("ann")[1, 1] > 0.5
    assert online.refit().labels == {"scan 1": "yes", "scan 2": "no"} and len(online) == 3
    assert online.probabilities("scan 3") is None
    with pytest.raises(quorate.Conflict):
        online.add("scan 1", "ann", "no")


def test_the_options_of_mace_are_taken():
    votes = [[1, 1, 2, 2, 1], [1, 1, 2, 2, 1], [2, 1, 2, 1, 2]]
    assert consensus.mace(votes, method="em", smoothing=0.5, noise=0.1).labels == {0: 1, 1: 1, 2: 2, 3: 2, 4: 1}
    with pytest.raises(quorate.InvalidInput):
        consensus.mace(votes, prior_guess=-1.0)
