"""What type checkers must understand. Checked by mypy --strict and pyright, never run."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt
from typing_extensions import assert_type

import quorate
import quorate.aio
from quorate import consensus


def knowledge(place: str) -> None:
    with quorate.open(place, embedder="builtin", tenant="acme", chunking={"strategy": "sentence"}) as kb:
        report = kb.add([{"id": "a", "text": "t", "metadata": {"year": 2024}}], progress=lambda done, total: print(done, total))
        assert_type(report.added, int)
        hits = kb.search("x", k=3, where={"year": {"$gte": 2020}}, mode="dense")
        assert_type(hits, quorate.Hits)
        assert_type(hits[0], quorate.Hit)
        assert_type(hits[:2], quorate.Hits)
        assert_type([hit.doc_id for hit in hits], list[str])
        assert_type(hits[0].vector, npt.NDArray[np.float32])
        assert_type(kb.search_batch(["x"]), list[quorate.Hits])
        assert_type(kb.get("a").text, Any)
        assert_type(kb.versions()[0].timestamp, datetime.datetime)
        assert_type(kb.facets("year")[0][1], int)
        assert_type(kb.context("x").reason, str | None)
        assert_type(kb.at(kb.versions()[0]), quorate.KnowledgeBase)
        kb.delete(ids=["a"])
        try:
            kb.get("a")
        except quorate.NotFound as error:
            assert_type(error.code, str)


def experts() -> None:
    with quorate.AgentRegistry(catalog=None) as registry:
        agent = registry.add({"id": "a", "name": "A", "summary": "s"})
        assert_type(agent, quorate.Agent)
        for match in registry.match("x", require=["regulatory.fda"], max_cost=0.1):
            assert_type(match.agent.name, str)
            assert_type(match.confidence, float)
        assert_type(registry.select_panel("x").members[0].gain, float)
        assert_type(registry.list(), quorate.Agents)
        assert_type(registry.list()[0].name, str)


def models() -> None:
    bounds = quorate.Resilience(attempts=2, fallback=[quorate.ScriptedModel(["b"])])
    model = quorate.Model("openai:m", api_key="k", resilience=bounds)
    assert_type(model.price, dict[str, Any] | None)
    said = quorate.ScriptedModel(["a"])
    found = said.complete([{"role": "user", "content": "q"}], max_tokens=5)
    assert_type(found, quorate.Reply)
    assert_type(found.usage.input, int)
    assert_type(found.cost, float | None)
    assert_type([call.name for call in found.tool_calls], list[str])
    with said.stream("q") as events:
        for event in events:
            assert_type(event.type, str)
            assert_type(event.result, quorate.Reply)
    assert_type(said.stream("q").result(), quorate.Reply)


async def later(place: str) -> None:
    async with quorate.aio.open(place) as kb:
        assert_type(await kb.aio.search("x", k=1), quorate.Hits)
        assert_type(await kb.aio.count("year > 2020"), int)
    model = quorate.Embedder("builtin")
    assert_type(await model.aio.embed(["x"]), npt.NDArray[np.float32])
    said = quorate.ScriptedModel(["a"])
    assert_type(await said.aio.complete("q"), quorate.Reply)
    async for event in said.aio.stream("q"):
        assert_type(event, quorate.ModelEvent)
    registry = await quorate.aio.run(quorate.AgentRegistry, catalog=None)
    assert_type(await registry.aio.match("x"), quorate.Matches)


def judgement() -> None:
    assert_type(consensus.krippendorff_alpha([[1, 2], [1, 2]]).value, float | None)
    assert_type(quorate.evaluate({"q": {"d": 1.0}}, {"q": {"d": 1}}), dict[str, float])


class Dose(TypedDict):
    mg: int


@dataclasses.dataclass
class Place:
    name: str


def asked(runtime: quorate.Runtime) -> None:
    assert_type(runtime.ask("q").output, Any)
    assert_type(runtime.ask("q", output=Place, agent="a", seed=1), quorate.Answer[Place])
    assert_type(runtime.ask("q", output=Place).output, Place)
    assert_type(runtime.ask("q", output=Dose).output["mg"], int)
    assert_type(runtime.ask("q", output=int).output, int)
    assert_type(runtime.ask("q", output={"type": "object"}).output, Any)
    assert_type(runtime.resume("r", {"c": "approve"}, output=Place).output, Place)
    assert_type(runtime.run("r").answer(output=Place).output, Place)
    assert_type(runtime.stream.ask("q", output=Place).result().output, Place)
    with runtime.stream.resume("r", output=Place) as events:
        for event in events:
            assert_type(event, quorate.RunEvent)
        assert_type(events.result(), quorate.Answer[Place])

    def plain(answer: quorate.Answer) -> str:
        return answer.text

    plain(runtime.ask("q", output=Place))


async def asked_later(runtime: quorate.Runtime) -> None:
    assert_type((await runtime.aio.ask("q", output=Place)).output, Place)
    assert_type((await runtime.aio.resume("r", output=Place)).output, Place)
    assert_type((await (runtime.run("r")).aio.answer(output=Place)).output, Place)
    stream = runtime.aio.stream.ask("q", output=Place)
    async for event in stream:
        assert_type(event.delta, str)
    assert_type((await stream.result()).output, Place)
    assert_type(await runtime.aio.memory.facts("u"), list[quorate._record.Record])
    def brief(answer: quorate.Answer[Any], task: dict[str, Any]) -> bool:
        return len(answer.text) < 10

    async def sure(answer: quorate.Answer[Any], task: dict[str, Any]) -> dict[str, Any]:
        return {"passed": None, "detail": task["id"]}

    long = quorate.Scorer("long", lambda answer, task: len(answer.text) > 100)
    assert_type(quorate.load_tasks("tasks.yaml"), list[dict[str, Any]])
    assert_type(quorate.evaluate_agents(runtime, quorate.load_tasks("tasks.yaml"), scorers=["exact", brief, sure, long]).summary(), str)
    report = await quorate.aio.evaluate_agents(runtime, [{"id": "a", "question": "q"}], scorers=[brief, "cited"])
    assert_type(report, quorate.AgentReport)


def panel(runtime: quorate.Runtime, model: quorate.Model) -> None:
    members: list[str | quorate.Member] = ["ann", quorate.Member("bob", role="expert", weight=2.0, model=model)]
    found = runtime.panel("q", type="delphi", members=members, scale=(1, 9), judge=model, budget=quorate.Budget(max_cost=1.0))
    assert_type(found, quorate.PanelAnswer)
    assert_type(found.score, consensus.PanelScore | None)
    assert_type(found.rounds, list[quorate.PanelRound])
    assert_type(found.minority[0].ballots[0].confidence, float)
    assert_type(found.conformity.right_to_wrong, int | None)
    assert_type(runtime.resume_panel("r", models={"bob": model}), quorate.PanelAnswer)
    assert_type(runtime.run("r").panel(), quorate.PanelAnswer)
    assert_type(runtime.stream.panel("q", type="debate", options=["a", "b"]).result(), quorate.PanelAnswer)
    with runtime.stream.resume_panel("r") as events:
        for event in events:
            assert_type(event, quorate.PanelEvent)
    runtime.panel("q", type="vote")  # type: ignore[arg-type]
    runtime.stream.panel("q", sise=3)  # type: ignore[call-arg]


async def panel_later(runtime: quorate.Runtime) -> None:
    assert_type(await runtime.aio.panel("q", members=["ann"], rounds=2), quorate.PanelAnswer)
    assert_type(await runtime.aio.resume_panel("r"), quorate.PanelAnswer)
    async with runtime.aio.stream.panel("q", type="consensus") as stream:
        async for event in stream:
            assert_type(event.type, str)
        assert_type(await stream.result(), quorate.PanelAnswer)
