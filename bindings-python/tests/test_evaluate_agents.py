"""How well do agents answer, seen from Python?"""

from __future__ import annotations

import pytest

import quorate
from quorate import Budget, Judge, Runtime, ScriptedModel, evaluate_agents, tool

TASKS = [
    {"id": "dose", "question": "Which dose?", "expect": {"exact": ["5 mg"]}},
    {"id": "name", "question": "Which drug?", "expect": {"contains": ["metformin"], "not_contains": ["aspirin"]}},
]


def say(request):
    asked = request["messages"][-1]["content"]
    return "5 mg" if "dose" in asked else "It is metformin."


def test_tasks_are_asked_and_scored(tmp_path):
    told = []
    runtime = Runtime(model=ScriptedModel(say, price={"input": 1, "output": 1}))
    report = evaluate_agents(runtime, TASKS, repeat=3, progress=lambda done, total: told.append((done, total)))
    everything = report.metric("all")
    assert everything.pass_rate == 1.0 and everything.trials == 6 and everything.interval[0] < 1.0 and told[-1] == (6, 6)
    assert report.totals.cost > 0 and len(report.rows()) == 6 and list(report.to_pandas().columns)[:2] == ["task", "trial"]
    worse = evaluate_agents(Runtime(model=ScriptedModel(lambda request: "aspirin")), TASKS, repeat=3)
    assert worse.metric("all").pass_rate == 0.0
    compared = report.compare(worse)
    assert compared.scorers[0].difference != 0 and {one.task for one in compared.changed} == {"dose", "name"}
    report.report(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "<html" in page and "http" not in page.replace("http://www.w3.org", "")
    assert quorate.AgentReport.from_dict(report.to_dict()).to_dict() == report.to_dict()
    assert "all: 1.000" in repr(report)


def test_judges_and_budgets():
    judge = Judge(ScriptedModel(lambda request: '{"reason": "fits", "passed": true}', price={"input": 1, "output": 1}), "It names a dose.", samples=1)
    runtime = Runtime(model=ScriptedModel(say, price={"input": 1, "output": 1}))
    report = evaluate_agents(runtime, TASKS[:1], repeat=2, scorers=["exact", judge])
    assert {one.scorer for one in report.metrics} == {"all", "exact", "judge"}
    few = evaluate_agents(runtime, TASKS, repeat=50, budget=Budget(max_cost=0.004))
    assert few.stopped_by == "max_cost" and few.totals.cost <= 0.004
    for bad in (
        lambda: evaluate_agents(runtime, []),
        lambda: evaluate_agents(runtime, [TASKS[0], TASKS[0]]),
        lambda: evaluate_agents(runtime, [{"id": "a", "question": "b", "expects": {}}]),
        lambda: evaluate_agents(runtime, TASKS, scorers=["nice"]),
        lambda: evaluate_agents(runtime, TASKS, repeat=0),
        lambda: evaluate_agents(runtime, "no/such/file.yaml"),
        lambda: Judge(None),
        lambda: Judge(judge.model, orders=3),
    ):
        with pytest.raises(quorate.QuorateError):
            bad()


def test_golden_tasks_ship():
    golden = quorate.golden_tasks()
    assert len(golden) == 9 and all(len(tasks) == 8 for tasks in golden.values())


def test_a_recorded_run_is_asked_again():
    made = []

    @tool
    def lookup(code: str) -> str:
        made.append(code)
        return "a catheter"

    def first(request):
        if request["messages"][-1]["role"] == "tool":
            return "It is a catheter."
        return {"tool_calls": [{"name": "lookup", "arguments": {"code": "C1"}}]}

    def second(request):
        if request["messages"][-1]["role"] == "tool":
            return "A catheter, as far as I know."
        return {"tool_calls": [{"name": "lookup", "arguments": {"code": "C1"}}]}

    runtime = Runtime(model=ScriptedModel(first), tools=[lookup])
    answer = runtime.ask("What is C1?")
    again = runtime.replay(answer.run_id, {"model": ScriptedModel(second)})
    assert made == ["C1"] and again.before.text == answer.text and again.answer.text == "A catheter, as far as I know."
    assert again.differences and "as far as I know" in again.difference_text
    with pytest.raises(quorate.Conflict) as caught:
        other = ScriptedModel(lambda request: {"tool_calls": [{"name": "lookup", "arguments": {"code": "C2"}}]})
        runtime.replay(answer.run_id, {"model": other})
    assert caught.value.code == "replay_mismatch"
