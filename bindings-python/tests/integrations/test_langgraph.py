"""Is a state store a checkpointer of LangGraph, by LangGraph's own suite?"""

from __future__ import annotations

import asyncio
import operator
import subprocess
import sys
from typing import Annotated, TypedDict

import pytest

import quorate
from quorate import StateStore
from quorate import workflows as wf

pytest.importorskip("langgraph.graph")


class State(TypedDict):
    notes: Annotated[list, operator.add]


@pytest.mark.parametrize("disk", [False, True])
def test_the_conformance_suite(disk, tmp_path):
    conformance = pytest.importorskip("langgraph.checkpoint.conformance")
    made = []

    @conformance.checkpointer_test(name=f"quorate {disk}")
    async def checkpointer():
        made.append(StateStore(tmp_path / str(len(made))) if disk else StateStore())
        yield wf.LangGraphSaver(made[-1])
        made[-1].close()

    report = asyncio.run(conformance.validate(checkpointer))
    found = report.to_dict() if hasattr(report, "to_dict") else {}
    bad = {name: result.failures for name, result in report.results.items() if result.tests_failed}
    assert not bad, bad
    assert all(result.detected for result in report.results.values()), found
    assert sum(result.tests_passed for result in report.results.values()) >= 58


def graph(saver):
    from langgraph.graph import StateGraph
    from langgraph.types import interrupt

    def ask(state):
        return {"notes": [interrupt("go on?")]}

    made = StateGraph(State).add_node("first", lambda state: {"notes": ["first"]}).add_node("ask", ask)
    return made.add_edge("__start__", "first").add_edge("first", "ask").compile(checkpointer=saver)


def test_a_graph_of_langgraph_goes_on_in_another_store_of_the_folder(tmp_path):
    from langgraph.types import Command

    config = {"configurable": {"thread_id": 7}}
    with StateStore(tmp_path) as store:
        app = graph(wf.LangGraphSaver(store))
        app.invoke({"notes": ["in"]}, config)
        assert app.get_state(config).next == ("ask",)
    with StateStore(tmp_path) as store:
        app = graph(wf.LangGraphSaver(store))
        assert app.invoke(Command(resume="yes"), config)["notes"] == ["in", "first", "yes"]
        assert [one.next for one in app.get_state_history(config)][:2] == [(), ("ask",)]
        # The checkpoints are those of the store.
        assert len(store.checkpoints.list("7")) == len(list(app.get_state_history(config)))

    async def again():
        with StateStore(tmp_path) as store:
            app = graph(wf.LangGraphSaver(store))
            return (await app.aget_state(config)).values["notes"], [one.next async for one in app.aget_state_history(config, limit=1)]

    assert asyncio.run(again()) == (["in", "first", "yes"], [()])


def test_a_saver_wants_a_store_and_tenants_do_not_cross(tmp_path):
    with pytest.raises(quorate.InvalidInput):
        wf.LangGraphSaver(tmp_path)
    config = {"configurable": {"thread_id": "t"}}
    graph(wf.LangGraphSaver(StateStore(tmp_path, tenant="a"))).invoke({"notes": []}, config)
    assert graph(wf.LangGraphSaver(StateStore(tmp_path, tenant="b"))).get_state(config).values == {}


def test_langgraph_is_imported_when_it_is_wanted():
    code = "import sys; from quorate import workflows; print('langgraph' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout.strip() == "False"
