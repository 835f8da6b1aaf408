"""Is an answer what its type takes, and do answers and what belongs to them show themselves?"""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import json

import pydantic
import pytest

import quorate
from quorate import Runtime, ScriptedModel, tool


class Dose(pydantic.BaseModel):
    mg: int

    @pydantic.field_validator("mg")
    @classmethod
    def small(cls, value):
        if value > 2000:
            raise ValueError("more than 2,000 mg is given to nobody")
        return value


@dataclasses.dataclass
class Range:
    low: int
    high: int

    def __post_init__(self):
        if self.low > self.high:
            raise ValueError("low is above high")


def says(*texts, seen=None):
    """A model that says these one after another, and then the last again and again."""
    left = list(texts)

    def say(request):
        if seen is not None:
            seen.append(json.dumps(request["messages"]))
        return left.pop(0) if len(left) > 1 else left[0]

    return ScriptedModel(say)


ASKS = {
    "ask": lambda runtime, **options: runtime.ask("q", **options),
    "stream": lambda runtime, **options: runtime.stream.ask("q", **options).result(),
    "aio": lambda runtime, **options: asyncio.run(_aio(runtime, **options)),
    "aio stream": lambda runtime, **options: asyncio.run(_aio_stream(runtime, **options)),
}


async def _aio(runtime, **options):
    return await runtime.aio.ask("q", **options)


async def _aio_stream(runtime, **options):
    return await runtime.aio.stream.ask("q", **options).result()


@pytest.mark.parametrize("way", ASKS)
@pytest.mark.parametrize(
    ("of", "wrong", "right", "told"),
    [
        (Dose, '{"mg": 50000}', '{"mg": 500}', "more than 2,000 mg is given to nobody"),
        (Range, '{"low": 3, "high": 1}', '{"low": 1, "high": 3}', "low is above high"),
        (list[Range], '[{"low": 1, "high": 3}, {"low": 3, "high": 1}]', '[{"low": 1, "high": 3}]', "low is above high"),
    ],
)
def test_what_a_type_refuses_is_told_to_the_model(way, of, wrong, right, told):
    seen = []
    answer = ASKS[way](Runtime(model=says(wrong, right, seen=seen)), output=of)
    assert answer.status == "done" and len(seen) == 2 and told in seen[1] and told not in seen[0]
    plain = json.loads(right)
    assert answer.output == (pydantic.TypeAdapter(of).validate_python(plain))
    with pytest.raises(quorate.Unavailable) as caught:
        ASKS[way](Runtime(model=says(wrong)), output=of)
    assert caught.value.code == "output_invalid" and told in caught.value.message


def test_where_in_the_answer_is_said():
    seen = []
    Runtime(model=says('[{"low": 1, "high": 3}, {"low": 3, "high": 1}]', "[]", seen=seen)).ask("q", output=list[Range])
    assert "/1" in seen[1]


def test_autonomous_runs_are_checked_too():
    plan = '{"steps": ["look"]}'

    def say(request):
        text = json.dumps(request["messages"])
        if "given to nobody" in text:
            return '{"mg": 5}'
        return plan if '"steps"' in json.dumps(request.get("output", {})) else '{"mg": 50000}'

    answer = Runtime(model=ScriptedModel(say)).ask("q", output=Dose, autonomous=True)
    assert answer.output == Dose(mg=5)


def test_a_run_that_waited_is_checked(tmp_path):
    seen = []

    def say(request):
        seen.append(json.dumps(request["messages"]))
        if not any(message["role"] == "tool" for message in request["messages"]):
            return {"tool_calls": [{"id": "c", "name": "send", "arguments": {}}]}
        return '{"mg": 5}' if "given to nobody" in seen[-1] else '{"mg": 50000}'

    send = tool(name="send", effect="write")(lambda: "sent")
    runtime = Runtime(model=ScriptedModel(say), tools=[send], store=tmp_path)
    waiting = runtime.ask("q", output=Dose)
    answer = runtime.resume(waiting.run_id, {"c": "approve"}, output=Dose)
    assert answer.output == Dose(mg=5) and runtime.run(answer.run_id).answer(output=Dose).output == Dose(mg=5)
    assert runtime.run(answer.run_id).answer().output == {"mg": 5}
    # The process that asked is gone, and with it the type: it is named again.
    again = Runtime(model=ScriptedModel(say), tools=[send], store=tmp_path)
    waiting = runtime.ask("q", output=Dose)
    assert again.resume(waiting.run_id, {"c": "approve"}, output=Dose).output == Dose(mg=5)


def test_what_a_type_raises_that_is_no_error_of_validation():
    @dataclasses.dataclass
    class Odd:
        mg: int

        def __post_init__(self):
            raise RuntimeError("the database is gone")

    with pytest.raises(quorate.Unavailable) as caught:
        Runtime(model=says('{"mg": 1}')).ask("q", output=Odd)
    assert caught.value.code == "output_invalid" and "RuntimeError: the database is gone" in caught.value.message


def test_an_expert_that_is_asked_by_another_has_the_loop_and_the_variables_of_who_asked():
    who = contextvars.ContextVar("who")
    seen = []

    @tool
    async def look() -> str:
        await asyncio.sleep(0)
        seen.append((asyncio.get_running_loop(), who.get()))
        return "x"

    def say(request):
        if any(message["role"] == "tool" for message in request["messages"]):
            return "done"
        helper = "Helper" in request["messages"][0]["content"]
        return {"tool_calls": [{"name": "look", "arguments": {}} if helper else {"name": "ask_helper", "arguments": {"question": "q"}}]}

    registry = quorate.AgentRegistry(catalog=None)
    for name in ("boss", "helper"):
        registry.add({"id": name, "name": name.title(), "summary": f"Works as {name} in the clinic."})
    runtime = Runtime(registry=registry, model=ScriptedModel(say), tools=[look])
    both = [look, quorate.agent_tool(runtime, "helper")]

    async def one(name):
        who.set(name)
        assert (await runtime.aio.ask("q", agent="boss", tools=both)).status == "done"

    async def main():
        await asyncio.gather(*(one(n) for n in range(10)))
        return asyncio.get_running_loop()

    loop = asyncio.run(main())
    assert {at for at, _ in seen} == {loop} and sorted(name for _, name in seen) == list(range(10))
    seen.clear()
    who.set("thread")
    assert runtime.ask("q", agent="boss", tools=both).status == "done"
    assert [name for _, name in seen] == ["thread"]


@pytest.mark.parametrize("way", ["ask", "stream", "aio", "resume", "evaluate"])
def test_an_expert_of_another_runtime_has_the_loop_and_the_variables_of_who_asked_too(way):
    who = contextvars.ContextVar("who")
    seen = []

    @tool
    async def look() -> str:
        await asyncio.sleep(0)
        seen.append((asyncio.get_running_loop(), who.get("nobody")))
        return "x"

    @tool
    def note() -> str:
        seen.append((None, who.get("nobody")))
        return "x"

    @tool(effect="write")
    def send() -> str:
        return "sent"

    def called(*names):
        return {"tool_calls": [{"id": f"c{i}", "name": name, "arguments": {"question": "q"} if name.startswith("ask") else {}} for i, name in enumerate(names)]}

    def first(*names):
        return lambda request: "done" if any(message["role"] == "tool" for message in request["messages"]) else called(*names)

    registry = quorate.AgentRegistry(catalog=None)
    registry.add({"id": "helper", "name": "Helper", "summary": "Works as helper in the clinic."})
    other = Runtime(registry=registry, model=ScriptedModel(first("look", "note")), tools=[look, note])
    ask = quorate.agent_tool(other, "helper")
    names = ["send", "ask_helper"] if way == "resume" else ["ask_helper"]
    runtime = Runtime(model=ScriptedModel(first(*names)), tools=[ask, send])

    def asked(name):
        who.set(name)
        if way == "stream":
            return runtime.stream.ask("q").result().status
        if way == "resume":
            return runtime.resume(runtime.ask("q").run_id, {"c0": "approve"}).status
        if way == "evaluate":
            report = quorate.evaluate_agents(runtime, [{"id": "a", "question": "q", "expect": {"exact": "done"}}], repeat=1)
            return report.trials[0].status
        return runtime.ask("q").status

    if way == "aio":

        async def one(name):
            who.set(name)
            assert (await runtime.aio.ask("q")).status == "done"

        async def main():
            await asyncio.gather(*(one(n) for n in range(10)))
            return asyncio.get_running_loop()

        loop = asyncio.run(main())
        assert {at for at, _ in seen} == {loop, None} and sorted(name for _, name in seen) == sorted([*range(10)] * 2)
        return
    for name in ("ann", "bob"):
        seen.clear()
        assert contextvars.copy_context().run(asked, name) == "done"
        assert [name for _, name in seen] == [name, name]


def test_what_belongs_to_runs_shows_itself(tmp_path):
    @tool
    def look() -> str:
        """Looks."""
        return "x"

    model = says("x")
    runtime = Runtime(model=model, tools=[look], store=tmp_path, tenant="acme")
    answer = runtime.ask("Which dose?")
    shown = repr(runtime)
    assert "scripted" in shown and "['look']" in shown and "acme" in shown and str(tmp_path) in shown and "0x" not in shown
    assert repr(runtime.aio) == shown + ".aio" and repr(runtime.memory) == shown + ".memory"
    stream = runtime.stream.ask("q")
    assert "under way" in repr(stream)
    stream.result()
    assert "over" in repr(stream)
    replayed = runtime.replay(answer.run_id)
    assert len(repr(replayed)) < 2000 and replayed["same"] == replayed.same
    for one in (answer, runtime.run(answer.run_id), look, replayed, runtime.memory.remember("ann", "is here")):
        page = one._repr_html_()
        assert page.startswith("<") and "<script" not in page, one
    hostile = Runtime(model=says("<script>alert(1)</script>")).ask("<script>alert(2)</script>")
    assert "<script" not in hostile._repr_html_() and json.loads(hostile.to_json())["text"] == hostile.text
