"""Do experts answer, stop, wait and go on from Python?"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import math
import os
import pathlib
import subprocess
import sys
import threading
import time

import pytest

import quorate
from quorate import Budget, Runtime, ScriptedModel, StateStore, ToolContext, tool

TEXT = "\U0001f642 Metformin lowers blood glucose. The usual starting dose of metformin is 500 mg twice daily. Store it in a dry place."


def calls(*given):
    """A reply that calls tools: (name, arguments) each."""
    return {"tool_calls": [{"name": name, "arguments": arguments} for name, arguments in given]}


def once(*given, then="done"):
    """Calls first, and then says ``then``."""
    return ScriptedModel(lambda request: calls(*given) if len(request["messages"]) < 3 else then)


@tool
def lookup(code: str, year: int = 2025) -> dict:
    """What a code means.

    More for people.
    """
    return {"code": code, "year": year}


@dataclasses.dataclass
class Place:
    name: str
    bed: int


def test_a_tool_is_a_function_with_hints():
    assert lookup("C1")["year"] == 2025
    card = lookup.card
    assert (card["name"], card["description"], card["effect"]) == ("lookup", "What a code means.", "read")
    assert card["schema"]["required"] == ["code"] and card["schema"]["properties"]["year"]["type"] == "integer"

    seen = []

    @tool(name="move", effect="write", approval=True, timeout=5, idempotent=True, max_result_tokens=10)
    def move_patient(to: Place, context: ToolContext) -> Place:
        seen.append((to, context))
        return to

    assert list(move_patient.card["schema"]["properties"]) == ["to"]
    assert move_patient.card["idempotent"] is True
    runtime = Runtime(model=once(("move", {"to": {"name": "A", "bed": 3}})), tools=[move_patient])
    answer = runtime.ask("go", approve=lambda pending: True)
    [(place, context)] = seen
    assert place == Place("A", 3) and context.run_id == answer.run_id and context.idempotency_key.startswith(answer.run_id)


@pytest.mark.parametrize("given", [{"timeout": 0}, {"effect": "maybe"}, {"max_result_tokens": 0}, {"name": "a b"}, {"timeout": float("nan")}])
def test_bad_tools_are_refused(given):
    with pytest.raises(quorate.InvalidInput):
        tool(**given)(lambda: 1)


def test_tools_run_in_parallel_also_coroutines_and_a_hung_one_is_left():
    order = []

    @tool
    async def wait(x: int) -> int:
        await asyncio.sleep(0.2)
        order.append(x)
        return x

    @tool(timeout=0.1)
    def hangs() -> None:
        time.sleep(3)

    seen = []

    def say(request):
        if len(request["messages"]) < 3:
            return calls(*[("wait", {"x": i}) for i in range(4)], ("hangs", {}))
        seen.append(json.dumps(request["messages"][-1]))
        return "done"

    begun = time.perf_counter()
    answer = Runtime(model=ScriptedModel(say), tools=[wait, hangs]).ask("go")
    assert answer.text == "done" and time.perf_counter() - begun < 2.5
    assert sorted(order) == [0, 1, 2, 3]
    assert "tool_timeout" in seen[0]
    assert [step.error for step in answer.steps if step.kind == "tool"].count("tool_timeout") == 1


def test_coroutines_run_on_the_loop_that_asks():
    loops = []

    @tool
    async def here() -> str:
        loops.append(asyncio.get_running_loop())
        await asyncio.sleep(0)
        return "x"

    async def main():
        answer = await Runtime(model=once(("here", {})), tools=[here]).aio.ask("go")
        assert answer.text == "done" and loops == [asyncio.get_running_loop()]

    asyncio.run(main())


def test_errors_of_tools_go_back_named():
    @tool
    def fails() -> None:
        raise ValueError("the code is too old")

    seen = []

    def say(request):
        if len(request["messages"]) < 3:
            return calls(("fails", {}), ("nothing", {}), ("lookup", {"kode": 1}))
        seen.append(json.dumps(request["messages"][-1]))
        return "mended"

    assert Runtime(model=ScriptedModel(say), tools=[fails, lookup]).ask("go").text == "mended"
    for said in ("tool_failed", "ValueError: the code is too old", "tool_unknown", "fails, lookup", "tool_arguments"):
        assert said in seen[0], seen[0]


def test_calls_that_cannot_run_say_why_in_steps_and_events():
    def say(request):
        if len(request["messages"]) < 3:
            return calls(("nothing", {}), ("lookup", {"kode": 1}), ("lookup", {"code": "a"}))
        return "mended"

    runtime = Runtime(model=ScriptedModel(say), tools=[lookup])
    events = list(runtime.stream.ask("go"))
    answer = events[-1].result
    steps = sorted((step.name, step.error or "") for step in answer.steps if step.kind == "tool")
    assert steps == [("lookup", ""), ("lookup", "tool_arguments"), ("nothing", "tool_unknown")]
    asked = [event.id for event in events if event.type == "tool_call"]
    results = {event.id: event for event in events if event.type == "tool_result"}
    assert [results[id].error for id in asked] == ["tool_unknown", "tool_arguments", None]
    assert "nothing" in results[asked[0]].content and "lookup" in results[asked[0]].content
    kept = [event.type for event in runtime.run(answer.run_id).events()]
    assert kept == [event.type for event in events if event.type not in ("text", "tool_input", "step_start")]

    again = Runtime(model=ScriptedModel(lambda request: calls(("lookup", {"code": "a"}), ("nothing", {}))), tools=[lookup])
    repeated = again.ask("go")
    assert repeated.stopped_by == "repeated_call"
    assert [step.error for step in repeated.steps if step.kind == "tool"][-2:] == ["repeated_call", "tool_unknown"]


def test_what_writes_waits_and_goes_on_with_decisions():
    sent = []

    @tool(effect="write")
    def send(x: int) -> str:
        sent.append(x)
        return "sent"

    runtime = Runtime(model=once(("send", {"x": 1}), ("lookup", {"code": "a"})), tools=[send, lookup])
    waiting = runtime.ask("go")
    assert waiting.status == "waiting" and not sent
    [pending] = waiting.pending
    assert (pending.name, pending.arguments, pending.effect) == ("send", {"x": 1}, "write")
    with pytest.raises(quorate.NotFound) as caught:
        runtime.resume(waiting.run_id, {"nothing": "approve"})
    assert caught.value.code == "unknown_id"
    with pytest.raises(quorate.InvalidInput) as caught:
        runtime.resume(waiting.run_id, {pending.id: {"arguments": {"x": "no"}}})
    assert caught.value.code == "tool_arguments"
    with pytest.raises(quorate.InvalidInput):
        runtime.resume(waiting.run_id, {pending.id: "perhaps"})
    answer = runtime.resume(waiting.run_id, {pending.id: {"arguments": {"x": 2}}})
    assert answer.status == "done" and sent == [2]
    run = runtime.run(waiting.run_id)
    assert run.answer() == answer and run.status == "done"
    kinds = [event.type for event in run.events()]
    assert kinds.count("waiting") == 1 and kinds[-1] == "end" and "approval" in kinds


@pytest.mark.parametrize("asynchronous", [False, True])
def test_approve_is_asked(asynchronous):
    def sync(pending):
        return pending.arguments["x"] > 1

    async def waits(pending):
        await asyncio.sleep(0.01)
        return sync(pending)

    sent = []

    @tool(effect="write")
    def send(x: int) -> None:
        sent.append(x)

    runtime = Runtime(model=once(("send", {"x": 1}), ("send", {"x": 2})), tools=[send], approve=waits if asynchronous else sync)
    assert runtime.ask("go").status == "done" and sent == [2]
    assert runtime.ask("go", approve=lambda pending: None).status == "waiting"
    # Nobody has decided then.
    events = list(runtime.stream.ask("go", approve=lambda pending: 1 / 0))
    assert events[-1].type == "waiting" and any("ZeroDivisionError" in str(event) for event in events if event.type == "warning")


def test_limits_of_a_budget():
    turn = iter(range(10_000))

    def endless(request):
        if request.get("tool_choice") == "none":
            return "as far as I know"
        return {**calls(("lookup", {"code": str(next(turn))})), "usage": {"input": 1000, "output": 1000}}

    model = ScriptedModel(endless, price={"input": 1, "output": 1})
    runtime = Runtime(model=model, tools=[lookup])
    for budget, by in [
        (Budget(max_steps=3), "max_steps"),
        (Budget(max_tool_calls=2), "max_tool_calls"),
        (Budget(max_tokens=20_000, max_steps=None), "max_tokens"),
        (Budget(max_cost=0.02, max_steps=None), "max_cost"),
        (Budget(max_seconds=3, max_steps=None), "max_seconds"),
    ]:
        answer = runtime.ask("go", budget=budget)
        assert (answer.status, answer.stopped_by, answer.text) == ("partial", by, "as far as I know")
        assert budget.max_cost is None or answer.cost <= budget.max_cost
    with pytest.raises(quorate.InvalidInput) as caught:
        Runtime(model=ScriptedModel(["x"])).ask("go", budget=Budget(max_cost=1.0))
    assert caught.value.code == "budget_unpriced"
    for bad in ({"max_cost": -1}, {"max_cost": float("nan")}, {"max_steps": 0}, {"unpriced": "perhaps"}):
        with pytest.raises(quorate.InvalidInput):
            Budget(**bad)


def test_cancelling_ends_a_run_at_once():
    def hangs(request):
        time.sleep(2)
        return "late"

    async def slow(request):
        await asyncio.sleep(30)

    runtime = Runtime(model=ScriptedModel(slow))
    found = []

    def ask():
        found.append(runtime.ask("go"))

    thread = threading.Thread(target=ask)
    thread.start()
    while not (runs := runtime.runs("running")):
        time.sleep(0.005)
    begun = time.perf_counter()
    runtime.cancel(runs[0].run_id)
    thread.join()
    assert time.perf_counter() - begun < 1 and found[0].status == "cancelled" and found[0].stopped_by == "cancelled"

    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(runtime.aio.ask("go"), 0.1)
        for _ in range(200):
            if not runtime.runs("running"):
                break
            await asyncio.sleep(0.02)
        assert not runtime.runs("running") and len(runtime.runs("cancelled")) == 2

    asyncio.run(main())


def test_streams_give_what_happens():
    runtime = Runtime(model=once(("lookup", {"code": "a"}), then="one two"), tools=[lookup])
    events = list(runtime.stream.ask("go"))
    assert [event.type for event in events] == [
        "run_start", "step_start", "tool_input", "tool_call", "usage", "step_end", "tool_result", "step_start", "text", "text", "usage",
        "step_end", "end",
    ]  # fmt: skip
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert "".join(event.delta for event in events if event.type == "text") == events[-1].result.text == "one two"
    assert json.loads(events[-1].to_json())["result"]["status"] == "done"

    async def main():
        stream = runtime.aio.stream.ask("go")
        kinds = [event.type async for event in stream]
        assert kinds[-1] == "end" and (await stream.result()).text == "one two"

    asyncio.run(main())
    [last] = runtime.stream.ask(" ")
    assert last.type == "error" and last.error.code == "empty_input"
    with pytest.raises(quorate.InvalidInput):
        runtime.stream.ask(" ").result()
    with runtime.stream.ask("go") as stream:
        next(stream)


def test_sentences_of_the_sources_answer_without_a_model():
    kb = quorate.open(None)
    kb.add([{"id": "m", "title": "Metformin", "text": TEXT}])
    runtime = Runtime(kb=kb)
    answer = runtime.ask("What is the starting dose of metformin?")
    assert answer.status == "done" and "500 mg twice daily" in answer.text and answer.confidence > 0.5
    for citation in answer.citations:
        assert TEXT[citation.start : citation.end] == citation.text and citation.marker in answer.text
    assert answer.grounded == 1.0 and answer.cost == 0
    nothing = runtime.ask("Who won the football world cup in 1998?")
    assert (nothing.status, nothing.stopped_by, nothing.text) == ("abstained", "not_in_sources", "This is not in the sources.")
    both = runtime.ask("What is the starting dose of metformin? In what place is metformin stored?", autonomous=True)
    assert both.mode == "autonomous_automatic" and len(both.plan.steps) == 2
    assert "500 mg" in both.text and "dry place" in both.text
    for citation in both.citations:
        assert TEXT[citation.start : citation.end] == citation.text
    with pytest.raises(quorate.Unsupported):
        runtime.ask("What is the dose?", output={"type": "object"})
    model = quorate.Model("extractive", kb=kb)
    assert "500 mg twice daily" in model.complete("What is the starting dose of metformin?").text
    assert "500 mg" in Runtime(model=model).ask("What is the starting dose of metformin?").text
    for bad in (lambda: quorate.Model("extractive"), lambda: quorate.Model("openai:x", kb=kb), lambda: Runtime()):
        with pytest.raises(quorate.InvalidInput):
            bad()
    # How sure it must be can be chosen, and holds in runs too.
    for least, statuses in [(1.0, ["abstained", "abstained"]), (0.0, ["done", "done"]), (None, ["done", "abstained"])]:
        runtime = Runtime(model=quorate.Model("extractive", kb=kb, min_confidence=least))
        questions = ("What is the starting dose of metformin?", "Who won the football world cup in 1998?")
        assert [runtime.ask(question).status for question in questions] == statuses
    for least in (-0.1, 1.1, math.nan, "high"):
        with pytest.raises(quorate.InvalidInput, match="min_confidence"):
            quorate.Model("extractive", kb=kb, min_confidence=least)
    with pytest.raises(quorate.InvalidInput, match="min_confidence"):
        quorate.Model("openai:x", min_confidence=0.5)


def test_statements_of_a_model_are_checked():
    kb = quorate.open(None)
    kb.add([{"id": "m", "title": "Metformin", "text": TEXT}])
    said = "The usual starting dose of metformin is 500 mg twice daily [1]. The starting dose of metformin is 850 mg [1]."
    seen = []

    def say(request):
        seen.append(request["messages"])
        return said

    answer = Runtime(model=ScriptedModel(say), kb=kb).ask("What is the starting dose of metformin?")
    assert [check.verdict for check in answer.checks] == ["supported", "contradicted"] and answer.grounded == 0.5
    assert answer.citations[0].doc_id == "m" and "<source id=\"1\"" in str(seen[0][-1]["content"])


def test_the_right_expert_is_asked():
    registry = quorate.AgentRegistry()
    runtime = Runtime(registry=registry, model=ScriptedModel(lambda request: request["messages"][0]["content"]))
    answer = runtime.ask("Is a 510(k) needed for our ECG app?")
    assert answer.mode == "automatic" and answer.match.confidence == answer.confidence and answer.agent == answer.match.id
    assert registry.get(answer.agent).name in answer.text
    given = runtime.ask("Is a 510(k) needed for our ECG app?", agent="fda-510k")
    assert (given.mode, given.agent) == ("manual", "fda-510k")
    nobody = runtime.ask("Which paint is best for a garden fence?")
    assert (nobody.status, nobody.stopped_by, nobody.agent) == ("abstained", "nobody_fits", None) and "nearest" in nobody.text
    assert runtime.prompt("x", agent="fda-510k")[0]["content"].startswith("You are")
    with pytest.raises(quorate.NotFound):
        runtime.ask("x", agent="nobody-here")


def test_an_expert_asks_another_within_one_budget():
    registry = quorate.AgentRegistry(catalog=None)
    for name in ("boss", "helper"):
        registry.add({"id": name, "name": name.title(), "summary": f"Works as {name} in the clinic."})

    def say(request):
        if "Helper" in request["messages"][0]["content"]:
            return "42"
        return calls(("ask_helper", {"question": "How many?"})) if len(request["messages"]) < 3 else "It is 42."

    runtime = Runtime(registry=registry, model=ScriptedModel(say))
    helper = quorate.agent_tool(runtime, "helper")
    answer = runtime.ask("How many?", agent="boss", tools=[helper])
    assert answer.text == "It is 42." and [step.kind for step in answer.steps].count("tool") == 1
    [child] = [run for run in runtime.runs() if run.parent]
    assert child.parent == answer.run_id
    few = runtime.ask("How many?", agent="boss", tools=[helper], budget=Budget(max_steps=2))
    assert few.status == "partial"
    with pytest.raises(quorate.NotFound):
        quorate.agent_tool(runtime, "nobody")
    # The runtime of who is asked lives as long as the tool.
    others = quorate.agent_tool(Runtime(registry=registry, model=ScriptedModel(lambda request: "43")), "helper")
    say_read = ScriptedModel(lambda request: str(request["messages"][-1]["content"]) if len(request["messages"]) > 2 else calls(("ask_helper", {"question": "q"})))
    stream = Runtime(registry=registry, model=say_read).stream.ask("q", agent="boss", tools=[others])
    del others
    assert "43" in stream.result().text


def test_conversations_take_along_what_was_said():
    seen = []

    def say(request):
        seen.append(request["messages"])
        return f"answer {len(seen)} {'word ' * 40}"

    runtime = Runtime(model=ScriptedModel(say))
    talk = runtime.conversation("c", max_tokens=200)
    for question in ("My name is Ann.", "Which dose?", "And then?"):
        runtime.ask(question, conversation=talk)
    assert [message["content"] for message in talk.messages if message["role"] == "user"] == ["My name is Ann.", "Which dose?", "And then?"]
    contents = [str(message["content"]) for message in seen[-1]]
    assert "Which dose?" in contents and "My name is Ann." in contents
    for i in range(6):
        runtime.ask(f"more {i}", conversation=talk)
    assert "My name is Ann." not in [str(message["content"]) for message in seen[-1]]
    recalls = runtime.conversation("r", max_tokens=200, keep="recall")
    for i, question in enumerate(["My name is Ann.", *[f"more {i}" for i in range(6)], "What is my name?"]):
        runtime.ask(question, conversation=recalls)
    assert "My name is Ann." in str(seen[-1])
    sums = runtime.conversation("s", max_tokens=200, keep="summary")
    for question in ["My name is Ann.", *[f"more {i}" for i in range(6)]]:
        runtime.ask(question, conversation=sums)
    assert any("Sum up this conversation" in str(messages) for messages in seen)
    turn = talk.turns[0]
    assert talk.forget(turn.run_id) == 1 and len(talk.turns) == 8 and talk.forget() == 8 and talk.messages == []
    talk.add([{"role": "user", "content": "hello"}])
    assert talk.export()["turns"][0]["messages"][0]["content"] == "hello"
    again = runtime.conversation("c")
    assert again.messages == talk.messages
    with pytest.raises(quorate.InvalidInput):
        runtime.conversation("x", max_tokens=0)


def test_facts_about_users_are_kept_and_forgotten(tmp_path):
    def of(tenant):
        return Runtime(model=ScriptedModel(lambda request: str(request["messages"])), store=tmp_path, tenant=tenant)

    one, two = of("a"), of("b")
    fact = one.memory.remember("ann", "Ann is allergic to PENICILLIN-X17.", source="intake")
    assert fact.source == "intake" and one.memory.recall("ann", "Which allergic reactions?")[0].text == fact.text
    assert two.memory.facts("ann") == []
    talk = one.conversation(user="ann")
    assert "PENICILLIN-X17" in one.ask("Is she allergic?", conversation=talk).text
    with pytest.raises(quorate.NotFound):
        one.memory.forget("ann", "nothing")
    assert one.memory.forget("ann") == 1 and one.memory.facts("ann") == []
    with pytest.raises(quorate.InvalidInput):
        one.memory.remember("ann", " ")


def test_a_store_is_shared_and_tenants_do_not_cross(tmp_path):
    store = StateStore(tmp_path)
    one = Runtime(model=ScriptedModel(["x"]), store=store, tenant="a")
    answer = one.ask("go", idempotency_key="k")
    assert one.ask("go", idempotency_key="k") == answer
    assert Runtime(model=ScriptedModel([]), store=tmp_path, tenant="a").run(answer.run_id).answer() == answer
    other = Runtime(model=ScriptedModel(["y"]), store=store, tenant="b")
    assert other.runs() == []
    with pytest.raises(quorate.NotFound):
        other.run(answer.run_id)
    with pytest.raises(quorate.NotFound):
        other.resume(answer.run_id)
    with pytest.raises(quorate.NotFound):
        other.delete(answer.run_id)
    one.delete(answer.run_id)
    assert one.runs() == []


KILLED = """
import os, sys, quorate
@quorate.tool(effect="write")
def step(n: int) -> str:
    with open(sys.argv[2], "a") as f: f.write(f"{n}\\n")
    if n == int(sys.argv[3]): os.kill(os.getpid(), 9)
    return f"did {n}"
def say(request):
    n = sum(message["role"] == "tool" for message in request["messages"])
    return {"tool_calls": [{"id": f"c{n}", "name": "step", "arguments": {"n": n}}]} if n < 4 else "all done"
runtime = quorate.Runtime(model=quorate.ScriptedModel(say), tools=[step], store=sys.argv[1], approve=lambda pending: True)
interrupted = runtime.runs("interrupted")
answer = runtime.resume(interrupted[0].run_id) if interrupted else runtime.ask("go")
print(answer.status, answer.text)
"""


@pytest.mark.parametrize("at", [0, 2, 3])
def test_a_killed_run_goes_on_and_no_finished_step_runs_again(tmp_path, at):
    def run(kill):
        log = tmp_path / "log"
        given = [sys.executable, "-c", KILLED, str(tmp_path / "store"), str(log), str(kill)]
        return subprocess.run(given, capture_output=True, text=True, timeout=60, check=False)

    assert run(at).returncode == -9
    again = run(99)
    # What was under way when the process was killed is not made again: nobody knows whether it took effect.
    assert again.stdout.split() == ["done", "all", "done"], again
    assert (tmp_path / "log").read_text().split() == [str(n) for n in range(4)]


def test_forked_children_ask():
    runtime = Runtime(model=ScriptedModel(["a", "b"]))
    assert runtime.ask("go").text == "a"
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, runtime.ask("go").text.encode())
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    assert os.read(read, 10) == b"b"


def test_a_thousand_runs_at_once_and_memory_stays():
    import resource

    async def answer(request):
        await asyncio.sleep(0.01)
        return "x"

    runtime = Runtime(model=ScriptedModel(lambda request: "x"))
    for _ in range(200):
        runtime.ask("go")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(2000):
        runtime.ask("go")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000
    waiting = Runtime(model=ScriptedModel(answer, resilience=quorate.Resilience(max_concurrent=1000)))

    async def main():
        answers = await asyncio.gather(*[waiting.aio.ask("go") for _ in range(300)])
        assert {one.text for one in answers} == {"x"}

    asyncio.run(main())


def test_bad_input_has_codes():
    runtime = Runtime(model=ScriptedModel(["x"]))
    for code, bad in [
        ("empty_input", lambda: runtime.ask("")),
        ("too_large", lambda: runtime.ask("x" * (1 << 20) + "y")),
        ("invalid_argument", lambda: runtime.ask(3)),
        ("invalid_argument", lambda: runtime.ask("x", agent="a")),
        ("invalid_argument", lambda: runtime.ask("x", where="a = 1")),
        ("invalid_argument", lambda: runtime.ask("x", budget={"max_cost": 1})),
        ("invalid_argument", lambda: runtime.ask("x", tools="lookup")),
        ("invalid_argument", lambda: runtime.ask("x", tools=[lookup, lookup])),
        ("invalid_argument", lambda: runtime.ask("x", seed=-1)),
        ("invalid_argument", lambda: runtime.runs("perhaps")),
        ("unknown_id", lambda: runtime.run("nothing")),
        ("unknown_id", lambda: runtime.resume("nothing")),
        ("unknown_id", lambda: runtime.cancel("nothing")),
        ("invalid_argument", lambda: Runtime(model="openai:x")),
    ]:
        try:
            bad()
        except quorate.QuorateError as caught:
            assert caught.code == code, caught
        else:
            raise AssertionError(f"{code} was not raised")


def test_recordings_hold_tools_too(tmp_path):
    made = []

    @tool
    def count() -> int:
        made.append(1)
        return len(made)

    runtime = Runtime(model=once(("count", {})), tools=[count])
    path: pathlib.Path = tmp_path / "case.jsonl"
    with quorate.record(path):
        first = runtime.ask("go")
    with quorate.replay(path):
        second = runtime.ask("go")
    assert len(made) == 1 and first.text == second.text


def test_an_answer_has_the_members_that_it_is_said_to_have():
    kb = quorate.open(None)
    kb.add([{"id": "leaflet", "text": TEXT, "title": "Leaflet"}])
    answers = [
        Runtime(model=once(("lookup", {"code": "C1725"})), tools=[lookup]).ask("What is C1725?"),
        Runtime(model=ScriptedModel(["The usual starting dose of metformin is 500 mg twice daily [1]."]), kb=kb).ask("Which dose of metformin?"),
        Runtime(kb=kb).ask("What is the usual starting dose of metformin?"),
    ]
    found = [
        *answers,
        *[answer.usage for answer in answers],
        *[step for answer in answers for step in answer.steps],
        *[one for answer in answers for one in answer.citations],
        *[check for answer in answers for check in answer.checks],
        *[check.evidence for answer in answers for check in answer.checks if check.evidence is not None],
    ]
    assert {type(one).__name__ for one in found} == {"Answer", "Usage", "Step", "AnswerCitation", "Check"}
    for one in found:
        assert set(vars(one)) == {field.name for field in dataclasses.fields(one)}, type(one)
        assert type(one)(**vars(one)) == one and dataclasses.replace(one) == one
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(one, dataclasses.fields(one)[0].name, None)
