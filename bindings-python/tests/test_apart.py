"""Does what a function of the host sets in its context stay in its call? Threads of quorate serve many, one after the other."""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass

import quorate
from quorate import workflows as wf

TENANT: ContextVar[str | None] = ContextVar("tenant", default=None)


def seen_by(seen):
    """Notes who is said to ask, and says somebody else."""
    seen.append(TENANT.get())
    TENANT.set("acme")


def test_of_embedders():
    seen = []

    def embed(texts):
        seen_by(seen)
        return [[1.0, 0.0] for _ in texts]

    embedder = quorate.CallbackEmbedder(embed, dim=2, id="x")
    for i in range(5):
        embedder.embed([f"text {i}"])
    assert len(seen) >= 5 and set(seen) == {None}


def test_of_clocks():
    seen = []

    def clock():
        seen_by(seen)
        return time.time()

    with wf.Engine(quorate.StateStore(), clock=clock) as engine:
        for _ in range(3):
            assert engine.start("example", offline=True).wait(20) == "completed"
    assert len(seen) > 5 and set(seen) == {None}


def test_of_outputs_that_check_themselves():
    seen = []

    @dataclass
    class Dose:
        mg: int

        def __post_init__(self):
            seen_by(seen)

    model = quorate.ScriptedModel(lambda request: '{"mg": 500}')
    for _ in range(5):
        assert model.complete("Which dose?", output=Dose).output.mg == 500
        TENANT.set(None)
    assert len(seen) >= 5 and set(seen) == {None}


def test_of_scorers():
    seen = []

    def scored(answer, task):
        seen_by(seen)
        return True

    runtime = quorate.Runtime(model=quorate.ScriptedModel(lambda request: "500 mg"))
    tasks = [{"id": f"dose{i}", "question": "Which dose?"} for i in range(4)]
    quorate.evaluate_agents(runtime, tasks, repeat=1, scorers=[quorate.Scorer("mine", scored)])
    assert len(seen) == 4 and set(seen) == {None}
