"""Does what loops over the user's data end when nobody waits for it any more?"""

from __future__ import annotations

import pytest

import quorate
from quorate import _quorate

RUN, QRELS = {"q": {"d": 1.0}}, {"q": {"d": 1}}


def cancelled(work):
    """Whether ``work`` ends with code ``cancelled`` when it is cancelled as it begins."""
    token = _quorate.Cancel()

    def begin():
        token.cancel()
        return work()

    with pytest.raises(quorate.Cancelled) as caught:
        token.run(begin)
    return caught.value.code == "cancelled"


def test_looking_at_documents(tmp_path):
    with quorate.open(None) as kb:
        kb.add([{"id": f"d{i}", "text": "Metformin lowers glucose.", "metadata": {"year": 2000 + i}} for i in range(5)])
        for work in (
            lambda: kb.facets("year"), lambda: kb.min_max("year"), lambda: kb.documents(sort="year"), lambda: kb.ids(),
            lambda: kb.count("year > 2001"), lambda: kb.delete(where="year > 2001"), lambda: kb.context("glucose"),
            lambda: kb.search_batch(["glucose"]), lambda: kb.verify(), lambda: kb.backup(tmp_path / "copy"),
        ):
            assert cancelled(work)
        assert kb.count() == 5 and kb.facets("year")[0] == (2000, 1) and kb.min_max("year") == (2000, 2004)


def test_judging_rankings(tmp_path):
    quorate.write_trec_run(RUN, tmp_path / "run.txt")
    for work in (
        lambda: quorate.evaluate(RUN, QRELS), lambda: quorate.compare(RUN, RUN, QRELS),
        lambda: quorate.read_trec_run(tmp_path / "run.txt"),
    ):
        assert cancelled(work)


def test_registries():
    with quorate.AgentRegistry(catalog=None) as registry:
        registry.add({"id": "kidney", "name": "Nephrologist", "summary": "Treats diseases of the kidney."})
        for work in (
            lambda: registry.calibrate([("What harms the kidney?", "kidney"), ("Will it rain?", None)]),
            lambda: registry.set_out_of_scope(["Will it rain?"]),
        ):
            assert cancelled(work)
        assert registry.out_of_scope() == []
