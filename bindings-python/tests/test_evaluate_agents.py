"""How well do agents answer, seen from Python?"""

from __future__ import annotations

import asyncio
import functools
import threading
import time

import pytest

import quorate
from quorate import Budget, Judge, Runtime, Scorer, ScriptedModel, evaluate_agents, load_tasks, tool

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


def test_functions_look_at_answers():
    seen = []

    def brief(answer, task):
        seen.append((answer, task, threading.current_thread()))
        return len(answer.text) < 10

    async def slow(answer, task):
        await asyncio.sleep(0.005)
        return {"passed": answer.text != "5 mg", "detail": "too plain"}

    task = {**TASKS[0], "tags": ["a"], "expect": {"json_path": {"$.dose_mg": {"value_a": 5}}, "exact": ["5 mg"]}}
    runtime = Runtime(model=ScriptedModel(say))
    report = evaluate_agents(runtime, [task], repeat=2, scorers=["exact", brief, Scorer("late", slow)])
    assert [(one.scorer, one.pass_rate) for one in report.metrics] == [("all", 0), ("exact", 1), ("brief", 1), ("late", 0)]
    scores = [(one.scorer, one.passed, one.detail) for one in report.trials[0].scores]
    assert scores == [("exact", True, ""), ("brief", True, ""), ("late", False, "too plain")]
    answer, given, _ = seen[0]
    assert isinstance(answer, quorate.Answer) and (answer.text, answer.run_id) == ("5 mg", report.trials[0].run_id)
    assert (given["id"], given["tags"]) == ("dose", ["a"])
    assert given["expect"]["json_path"] == [{"path": "$.dose_mg", "value": {"value_a": 5}}]
    # A task that gives nothing to look for is one that a function looks at.
    bare = evaluate_agents(runtime, [{"id": "a", "question": "q"}], repeat=1, scorers=[slow])
    assert bare.metric("slow").trials == 1


def test_what_a_function_cannot_say_is_undecided_and_told():
    numpy = pytest.importorskip("numpy")

    def raises(answer, task):
        raise TypeError("boom")

    async def awaited(answer, task):
        raise quorate.InvalidInput("too_large", "mine")

    odd = {
        "nothing": lambda answer, task: None,
        "null": lambda answer, task: {"passed": None, "detail": "who knows"},
        "number": lambda answer, task: 0.7,
        "nan": lambda answer, task: float("nan"),
        "object": lambda answer, task: object(),
        "word": lambda answer, task: {"passed": "yes"},
        "more": lambda answer, task: {"passed": True, "note": 1},
        "arguments": lambda answer: True,
    }
    scorers = [raises, awaited, *(Scorer(name, function) for name, function in odd.items())]
    report = evaluate_agents(Runtime(model=ScriptedModel(say)), TASKS[:1], repeat=1, scorers=scorers)
    said = {one.scorer: one.detail for one in report.trials[0].scores}
    assert all(one.passed is None for one in report.trials[0].scores) and report.metric("all").undecided == 1
    assert (said["nothing"], said["null"]) == ("", "who knows")
    assert said["raises"] == "callback: the scorer 'raises' raised TypeError: boom"
    assert said["awaited"] == "too_large: mine"
    assert said["number"].startswith("invalid_argument: ") and "0.7" in said["number"] and "nan" in said["nan"]
    assert "object" in said["object"] and "passed" in said["word"] and "note" in said["more"]
    assert "the scorer 'arguments' raised TypeError" in said["arguments"]

    # Truth values of numpy are such.
    truth = [Scorer("t", lambda answer, task: numpy.bool_(True)), Scorer("f", lambda answer, task: {"passed": numpy.bool_(False)})]
    report = evaluate_agents(Runtime(model=ScriptedModel(say)), TASKS[:1], repeat=1, scorers=truth)
    assert [one.passed for one in report.trials[0].scores] == [True, False]


def test_a_scorer_that_hangs_is_not_waited_for():
    gone = threading.Event()

    def hangs(answer, task):
        gone.wait(30)
        return True

    async def waits(answer, task):
        await asyncio.sleep(30)
        return True

    runtime = Runtime(model=ScriptedModel(say))
    try:
        begun = time.monotonic()
        report = evaluate_agents(runtime, TASKS[:1], repeat=2, scorers=["exact", hangs, waits], scorer_seconds=0.3)
        limited = evaluate_agents(runtime, TASKS[:1], repeat=2, scorers=["exact", hangs], budget=Budget(max_seconds=1))
        assert time.monotonic() - begun < 15
    finally:
        gone.set()
    for trial in report.trials:
        exact, *own = trial.scores
        assert exact.passed is True
        said = [(one.passed, one.detail) for one in own]
        assert said == [(None, f"timeout: the scorer '{name}' did not end within 0.3 s") for name in ("hangs", "waits")]
    assert (report.metric("hangs").undecided, report.stopped_by, limited.stopped_by) == (2, None, "max_seconds")
    for bad in (0, -1, float("nan"), 1e6):
        with pytest.raises(quorate.InvalidInput):
            evaluate_agents(runtime, TASKS, scorer_seconds=bad)


def test_scorers_need_names_of_their_own():
    runtime = Runtime(model=ScriptedModel(say))

    def brief(answer, task):
        return True

    for scorers, message in (
        ([lambda answer, task: True], r"scorers\[0\] has no name"),
        (["exact", functools.partial(brief)], r"scorers\[1\] has no name"),
        ([brief, brief], "two scorers have the name 'brief'"),
        ([brief, Scorer("all", brief)], "two scorers have the name 'all'"),
        ([7], "scorers"),
        ([None], "scorers"),
        (brief, "a list of names, judges and functions"),
    ):
        with pytest.raises(quorate.InvalidInput, match=message) as refused:
            evaluate_agents(runtime, TASKS[:1], scorers=scorers)
        assert refused.value.code == "invalid_argument"
    for name, function in ((" ", brief), (7, brief), ("a", "exact")):
        with pytest.raises(quorate.InvalidInput):
            Scorer(name, function)
    assert evaluate_agents(runtime, TASKS[:1], repeat=1, scorers=[Scorer("b", functools.partial(brief))]).metric("b").passed == 1


def test_scorers_run_on_the_loop_of_who_asks():
    loops = []

    async def main():
        own = asyncio.get_running_loop()

        async def looks(answer, task):
            loops.append(asyncio.get_running_loop() is own)
            return True

        report = await quorate.aio.evaluate_agents(Runtime(model=ScriptedModel(say)), TASKS, repeat=3, threads=2, scorers=[looks])
        assert report.metric("looks").passed == 6

        async def hangs(answer, task):
            loops.append("hangs")
            await asyncio.sleep(60)

        under = asyncio.ensure_future(quorate.aio.evaluate_agents(Runtime(model=ScriptedModel(say)), TASKS, scorers=[hangs]))
        while "hangs" not in loops:
            await asyncio.sleep(0.01)
        under.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asyncio.shield(under), 5)

    asyncio.run(main())
    assert loops[:6] == [True] * 6


def test_an_exit_in_a_scorer_ends_the_evaluation():
    asked = []

    def exits(answer, task):
        asked.append(task["id"])
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        evaluate_agents(Runtime(model=ScriptedModel(say)), TASKS, repeat=50, scorers=[exits])
    assert len(asked) == 1


def test_tasks_of_a_file(tmp_path):
    file = tmp_path / "tasks.yaml"
    file.write_text("schema_version: 1\ntasks:\n  - id: dose\n    question: Which dose?\n    expect: {not_contains: aspirin, json_path: {$.a: 1}}\n")
    (task,) = load_tasks(file)
    assert (task["id"], task["expect"]["not_contains"]) == ("dose", ["aspirin"])
    assert task["expect"]["json_path"] == [{"path": "$.a", "value": 1}]
    # What is loaded can be asked, and changed before.
    task["expect"] = {"exact": ["5 mg"]}
    assert evaluate_agents(Runtime(model=ScriptedModel(say)), load_tasks(str(file))[:0] + [task], repeat=1).metric("all").passed == 1
    with pytest.raises(quorate.NotFound):
        load_tasks(tmp_path / "none.yaml")
    file.write_text("schema_version: 1\ntasks:\n  - id: dose\n    question: q\n    expects: {}\n")
    with pytest.raises(quorate.InvalidInput, match="expects"):
        load_tasks(file)
    with pytest.raises((quorate.InvalidInput, TypeError)):
        load_tasks(7)


def test_failures_are_paid_for_too():
    price = {"input": 1000, "output": 1000}
    said = iter(["5 mg", "10 mg", "5 mg", "10 mg"])
    report = evaluate_agents(Runtime(model=ScriptedModel(lambda request: next(said), price=price)), TASKS[:1], repeat=4)
    totals, costs = report.totals, [trial.cost for trial in report.trials]
    assert all(cost > 0 for cost in costs)
    assert totals.cost == pytest.approx(sum(costs)) and totals.mean_cost == pytest.approx(sum(costs) / 4)
    assert totals.cost_per_task == pytest.approx(sum(costs)) and totals.cost_per_pass == pytest.approx(sum(costs) / 2)
    assert totals.failed_cost == pytest.approx(sum(trial.cost for trial in report.trials if not trial.passed))
    lines = report.summary().splitlines()
    assert lines[:2] == ["1 task, 4 of 4 trials", "all: 2 of 4 pass, 0.500 [0.150, 0.850]"]
    assert f"${totals.cost_per_pass:.4f} for each trial that passes" in report.summary()
    assert f"trials that do not pass ${totals.failed_cost:.4f}" in report.summary() and lines[-1] == "runs: 4 done"
    # None passes: each pass would cost nobody knows what.
    bad = evaluate_agents(Runtime(model=ScriptedModel(lambda request: "10 mg", price=price)), TASKS[:1], repeat=2)
    assert bad.totals.cost_per_pass is None and bad.totals.failed_cost == pytest.approx(bad.totals.cost)
    unpriced = evaluate_agents(Runtime(model=ScriptedModel(say)), TASKS[:1], repeat=2).totals
    assert (unpriced.cost_per_task, unpriced.cost_per_pass) == (None, None)
    # A report that was kept before there were these.
    kept = report.to_dict()
    for name in ("cost_per_task", "cost_per_pass", "failed_cost"):
        del kept["totals"][name]
    older = quorate.AgentReport.from_dict(kept).totals
    assert (older.cost_per_pass, older.failed_cost) == (totals.cost_per_pass, totals.failed_cost)


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
