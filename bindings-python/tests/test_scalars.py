"""Is a number, a word or a flag of the wrong kind refused with a code, whatever call it is given to?"""

from __future__ import annotations

import numpy as np
import pytest

import quorate
from quorate import consensus

VOTES = (["a", "a", "b"], ["x", "y", "x"], ["yes", "no", "yes"])
RANKINGS = [["a", "b"], ["b", "a"], ["a", "b"]]
RUN, QRELS = {"q": {"a": 1.0}}, {"q": {"a": 1}}


@pytest.fixture(scope="module")
def kb(tmp_path_factory):
    with quorate.open(tmp_path_factory.mktemp("scalars") / "kb", durability="process") as kb:
        kb.add([{"id": "a", "text": "Metformin lowers glucose."}])
        yield kb


@pytest.fixture(scope="module")
def registry():
    with quorate.AgentRegistry() as registry:
        yield registry


SEARCH = [
    ("k", None), ("k", -1), ("k", 1.5), ("k", 2**70), ("k", "3"), ("mode", None), ("mode", 3), ("fusion", None),
    ("alpha", "x"), ("alpha", None), ("rrf_k", []), ("strict", None), ("strict", "yes"), ("group_by", 3),
    ("min_score", "x"), ("rerank_depth", None), ("blend", None), ("mmr_lambda", None), ("offset", -2),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), SEARCH)
def test_keywords_of_a_search(kb, name, value):
    for call in (kb.search, lambda q, **more: kb.search_batch([q], **more), lambda q, **more: kb.search_many([q], **more)):
        with pytest.raises(quorate.InvalidInput, match=rf"^{name} is .* is expected") as caught:
            call("glucose", **{name: value})
        assert caught.value.code == "invalid_argument"


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_tokens", None), ("max_tokens", -1), ("neighbours", 1.5), ("dedupe", "x"), ("order", None)],
)
def test_keywords_of_a_context(kb, name, value):
    with pytest.raises(quorate.InvalidInput, match=rf"^{name} is "):
        kb.context("glucose", **{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("k", None), ("max_cost", "x"), ("tenant", 3), ("abstain", None), ("language", 3), ("min_confidence", "x"), ("learn", None)],
)
def test_keywords_of_a_match(registry, name, value):
    with pytest.raises(quorate.InvalidInput, match=rf"^{name} is "):
        registry.match("Is a 510(k) needed?", **{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("read_only", None), ("durability", 3), ("language", 3), ("keep_versions", -1), ("cache_folder", 3),
        ("storage_options", {"a": 1}), ("storage_options", "x"), ("tenant", 3),
    ],
)  # fmt: skip
def test_keywords_of_open(tmp_path, name, value):
    with pytest.raises(quorate.InvalidInput, match=rf"^{name} is "):
        quorate.open(tmp_path / "kb", **{name: value})


def test_a_lone_surrogate_in_a_word(kb):
    with pytest.raises(quorate.InvalidInput) as caught:
        kb.search("glucose", mode="\ud800")
    assert caught.value.code == "invalid_text"


CALLS = {
    "dimensions": lambda: quorate.Embedder("builtin", dimensions=-3),
    "precision": lambda: quorate.Embedder("builtin", precision=None),
    "batch_size": lambda: quorate.Embedder("builtin", batch_size=None),
    "query_prefix": lambda: quorate.Embedder("builtin", query_prefix=3),
    "timeout": lambda: quorate.RemoteEmbedder("http://127.0.0.1:9", model="m", dimensions=3, timeout="x"),
    "max_bytes": lambda: quorate.EmbeddingCache("unused", max_bytes=-1),
    "folder": lambda: quorate.EmbeddingCache(None),
    "seed": lambda: quorate.compare(RUN, RUN, QRELS, seed=-1),
    "metric": lambda: quorate.compare(RUN, RUN, QRELS, metric=None),
    "path of a run": lambda: quorate.read_trec_run(None),
    "level": lambda: consensus.krippendorff_alpha(*VOTES, level=None),
    "bootstrap": lambda: consensus.krippendorff_alpha(*VOTES, bootstrap=-1),
    "max_iter": lambda: consensus.dawid_skene(*VOTES, max_iter=None),
    "tol": lambda: consensus.dawid_skene(*VOTES, tol="x"),
    "seed of a vote": lambda: consensus.borda(RANKINGS, seed=-1),
    "rankings": lambda: consensus.borda(None),
    "weights": lambda: consensus.borda(RANKINGS, weights=3),
    "options": lambda: consensus.bradley_terry([("a", "b")], options=3),
    "comparisons": lambda: consensus.bradley_terry(None),
    "threshold": lambda: consensus.semantic_clusters([[1.0, 0.0]], None),
    "form": lambda: consensus.icc([[1.0, 2.0], [3.0, 4.0]], form=3),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_other_calls(call):
    with pytest.raises(quorate.InvalidInput) as caught:
        call()
    assert caught.value.code == "invalid_argument"


@pytest.mark.parametrize(
    "call",
    [
        lambda registry: registry.select_panel("x", size=None),
        lambda registry: registry.select_panel("x", diversity="a"),
        lambda registry: registry.record_outcome("fda-510k", "x", "much"),
        lambda registry: registry.load(None),
    ],
)
def test_calls_of_a_registry(registry, call):
    with pytest.raises(quorate.InvalidInput) as caught:
        call(registry)
    assert caught.value.code == "invalid_argument"


@pytest.mark.parametrize("kind", ["complex64", "complex128"])
def test_complex_numbers_are_not_cut_down(kb, kind):
    for vector in (np.ones(kb.stats().dim, dtype=kind), list(np.ones(kb.stats().dim, dtype=kind))):
        with pytest.raises(quorate.InvalidInput) as caught:
            kb.search_vector(vector)
        assert caught.value.code == "invalid_argument"


def test_numbers_of_numpy_are_numbers(kb):
    assert len(kb.search("glucose", k=np.int64(1), alpha=np.float32(0.5), strict=np.bool_(False))) == 1


def test_true_and_false_are_no_numbers(tmp_path):
    with quorate.open(None) as kb:
        kb.add([{"id": "a", "text": "glucose"}])
        for yes in (True, np.True_):
            for name in ("k", "offset", "alpha", "rrf_k", "rerank_depth", "blend", "min_score", "mmr_lambda"):
                assert refused(lambda: kb.search("glucose", **{name: yes})) == "invalid_argument", name
            assert refused(lambda: kb.context("glucose", max_tokens=yes)) == "invalid_argument"
            assert refused(lambda: kb.at(yes)) == "invalid_argument"
            assert refused(lambda: kb.search_vector([yes] * kb.stats().dim)) == "invalid_argument"
            assert refused(lambda: quorate.open(None, keep_versions=yes)) == "invalid_argument"
            assert refused(lambda: quorate.Embedder("builtin", dimensions=yes)) == "invalid_argument"
            assert refused(lambda: quorate.evaluate({"q": {"d": yes}}, {"q": {"d": 1}})) == "invalid_argument"
            assert refused(lambda: quorate.evaluate({"q": {"d": 1.0}}, {"q": {"d": yes}})) == "invalid_argument"
        # And numbers are neither yes nor no.
        for number in (1, 0, 1.0):
            assert refused(lambda: kb.search("glucose", strict=number)) == "invalid_argument"
            assert refused(lambda: quorate.open(None, read_only=number)) == "invalid_argument"


def refused(call):
    with pytest.raises(quorate.QuorateError) as caught:
        call()
    return caught.value.code
