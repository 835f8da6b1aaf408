"""Which functions of Python are tools, how are they described, called and waited for, and what may they give?"""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import datetime
import decimal
import enum
import functools
import gc
import json
import threading
import time
import typing
import uuid
import weakref
from typing import Annotated, Literal

import numpy as np
import pydantic
import pytest
import typing_extensions

import quorate
from quorate import Runtime, ScriptedModel, ToolContext, tool


def model_of(*given, seen=None):
    """A model that has tools called once, and then says what the last of them gave."""

    def say(request):
        if request["messages"][-1]["role"] == "tool":
            content = [one["content"] for one in request["messages"][-1]["content"]]
            if seen is not None:
                seen.extend(content)
            return content[-1]
        return {"tool_calls": [{"name": name, "arguments": arguments} for name, arguments in given]}

    return ScriptedModel(say)


def called(one, arguments):
    """What a tool was called with, and what the model read of its result."""
    one = one if isinstance(one, quorate.Tool) else tool(one)
    text = Runtime(model=model_of((one.name, arguments)), tools=[one]).ask("go").text
    return text.split(">\n", 1)[1].rsplit("\n<", 1)[0]


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Place:
    name: str
    bed: int = 1


class Dose(pydantic.BaseModel):
    mg: Annotated[int, pydantic.Field(gt=0, description="milligrams")]


class Both(typing.TypedDict):
    place: Place
    dose: typing_extensions.NotRequired[float]


def everything(
    color: Color,
    size: Literal["s", "m"],
    place: Place,
    dose: Dose,
    both: Both,
    when: datetime.date,
    note: str | None = None,
    many: Annotated[list[int], "at most three"] = (),  # type: ignore[assignment]
):
    return [repr(one) for one in (color, size, place, dose, both, when, note)]


def test_hints_of_every_kind_are_read():
    given = {
        "color": "blue",
        "size": "m",
        "place": {"name": "A"},
        "dose": {"mg": 5},
        "both": {"place": {"name": "B", "bed": 2}},
        "when": "2025-01-31",
    }
    schema = tool(everything).card["schema"]
    assert schema["required"] == ["color", "size", "place", "dose", "both", "when"]
    assert schema["properties"]["note"]["default"] is None and schema["properties"]["many"]["description"] == "at most three"
    assert called(everything, given) == json.dumps(
        [
            repr(Color.BLUE),
            "'m'",
            "Place(name='A', bed=1)",
            "Dose(mg=5)",
            "{'place': Place(name='B', bed=2)}",
            "datetime.date(2025, 1, 31)",
            "None",
        ],
        separators=(",", ":"),
    )
    for name, wrong in [("color", "green"), ("dose", {"mg": 0}), ("when", "tomorrow"), ("place", {}), ("size", None), ("more", 1)]:
        said = called(everything, {**given, name: wrong})
        assert said.startswith("tool_arguments") and name in said, said


def test_fields_of_pydantic_describe_and_bound():
    @tool
    def give(
        mg: int = pydantic.Field(description="milligrams", gt=0),
        unit: str = pydantic.Field("mg", description="the unit"),
        notes: list[str] = pydantic.Field(default_factory=list),
    ):
        return [mg, unit, notes]

    schema = give.card["schema"]
    assert schema["required"] == ["mg"] and schema["properties"]["mg"]["description"] == "milligrams"
    assert schema["properties"]["unit"]["default"] == "mg"
    assert called(give, {"mg": 5}) == '[5,"mg",[]]'
    assert "tool_arguments" in called(give, {"mg": 0})


class Desk:
    """A desk."""

    def __init__(self, name):
        self.name = name

    def look(self, code: str) -> str:
        """Looks up."""
        return f"{self.name} {code}"

    @classmethod
    def of(cls, code: str) -> str:
        return f"{cls.__name__} {code}"

    @staticmethod
    def still(code: str) -> str:
        return code

    def __call__(self, code: str, deep: bool = False) -> str:
        """Asks the desk."""
        return f"called {self.name} {code} {deep}"


def keyed(a: int, /, b: int = 2, *, c: int = 3):
    return [a, b, c]


def placed(a: int = 1, b: int = 2, /):
    return [a, b]


def gathered(a: int, b: int = 2, *rest: int, **more: float):
    return [a, b, list(rest), more]


@functools.wraps(keyed)
def wrapped(*args, **kwargs):
    return keyed(*args, **kwargs)


@pytest.mark.parametrize(
    ("one", "name", "arguments", "result"),
    [
        (Desk("d").look, "look", {"code": "C"}, "d C"),
        (Desk.of, "of", {"code": "C"}, "Desk C"),
        (Desk.still, "still", {"code": "C"}, "C"),
        (Desk("d"), "Desk", {"code": "C", "deep": True}, "called d C True"),
        (functools.partial(keyed, 7, c=9), "keyed", {"b": 5}, "[7,5,9]"),
        (functools.partial(functools.partial(Desk("d").look)), "look", {"code": "C"}, "d C"),
        (keyed, "keyed", {"a": 1, "c": 5}, "[1,2,5]"),
        (placed, "placed", {"b": 5}, "[1,5]"),
        (gathered, "gathered", {"a": 1}, "[1,2,[],{}]"),
        (gathered, "gathered", {"a": 1, "rest": [4, 5], "x": 0.5}, '[1,2,[4,5],{"x":0.5}]'),
        (wrapped, "keyed", {"a": 1}, "[1,2,3]"),
        (functools.lru_cache(keyed), "keyed", {"a": 1}, "[1,2,3]"),
    ],
)
def test_what_can_be_called_is_a_tool(one, name, arguments, result):
    made = tool(one)
    assert made.name == name
    assert called(made, arguments) == result


def test_what_a_partial_fixes_is_not_the_models_to_say():
    card = tool(functools.partial(keyed, c=9)).card["schema"]
    assert list(card["properties"]) == ["a", "b"] and card["additionalProperties"] is False
    assert "tool_arguments" in called(functools.partial(keyed, c=9), {"a": 1, "c": 4})
    assert tool(Desk("d")).card["description"] == "Asks the desk." and tool(Desk("d").look).card["description"] == "Looks up."


def generator(x: int):
    yield x


async def async_generator(x: int):
    yield x


def formless(x: int, then: typing.Callable[[], int]): ...


def gathers(*args, **kwargs): ...


def unknown(x: Nowhere): ...  # noqa: F821


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (Desk, "is a class"),
        (int, "is a class"),
        (Desk.look, "a method without its object"),
        (vars(Desk)["of"], "classmethod"),
        (generator, "one by one"),
        (async_generator, "one by one"),
        (formless, "the parameter 'then' of 'formless'"),
        (gathers, "functools.wraps"),
        (unknown, "Nowhere"),
        (lambda x: x, "give name="),
        (tool(keyed), "a tool already"),
        ("keyed", "not of type str"),
        (None, "not of type NoneType"),
        (dict.get, "a method without its object"),
    ],
)
def test_what_is_no_tool_is_refused_at_once(one, told):
    with pytest.raises(quorate.InvalidInput) as caught:
        tool()(one)
    assert caught.value.code == "invalid_argument" and told in caught.value.message, caught.value.message
    if not isinstance(one, (quorate.Tool, str, type(None), classmethod)):
        with pytest.raises(quorate.InvalidInput) as caught:
            Runtime(model=ScriptedModel([]), tools=[keyed, one])
        assert "tools[1]" in caught.value.message


@pytest.mark.parametrize("name", ["", "a b", "größe", "x" * 65, "<lambda>", 3])
def test_names_that_models_refuse_are_refused(name):
    with pytest.raises(quorate.InvalidInput) as caught:
        tool(name=name)(keyed)
    assert "give name=" in caught.value.message


def test_a_schema_takes_the_place_of_hints():
    made = tool(schema={"type": "object", "properties": {"x": {"type": "integer"}}})(gathers)
    assert made.card["schema"]["properties"] == {"x": {"type": "integer"}}

    @tool(schema={"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]})
    def take(context: ToolContext, **given):
        return [given, bool(context.run_id)]

    assert called(take, {"x": 3}) == '[{"x":3},true]'
    tool(schema={"type": "object"})(formless)
    tool(schema={"type": "object"})(unknown)


GOOGLE = """Looks a code up.

    In the book.

    Args:
        code (str, optional): The code,
            as it stands on the form.
        *rest: Further ones.
        year: The year: four digits.

    Returns:
        code: no parameter.
"""
NUMPY = """Looks a code up.

    Parameters
    ----------
    code : str, optional
        The code,
        as it stands on the form.
    *rest
        Further ones.
    year : int
        The year: four digits.

    Returns
    -------
    code : str
        No parameter.
"""
SPHINX = """Looks a code up.
    :param str code: The code,
        as it stands on the form.
    :param rest: Further ones.
    :param year: The year: four digits.
    :type year: int
    :returns: code
"""


@pytest.mark.parametrize("doc", [GOOGLE, NUMPY, SPHINX])
def test_docstrings_describe_parameters(doc):
    def look(code: str, *rest: str, year: Annotated[int, "Of its own."] = 2025): ...

    look.__doc__ = doc
    card = tool(look).card
    assert card["description"] == "Looks a code up."
    said = {name: one.get("description") for name, one in card["schema"]["properties"].items()}
    assert said == {"code": "The code, as it stands on the form.", "rest": "Further ones.", "year": "Of its own."}

    def plain(code: str, year: int = 1): ...

    plain.__doc__ = doc
    assert tool(plain).card["schema"]["properties"]["year"]["description"] == "The year: four digits."


@pytest.mark.parametrize("doc", ["", "Args:", "Args:\n  x", "Parameters\n---", ":param", ":param x:", "Args:\n\n\n", "Parameters\n-----\n\n:", "\n\n"])
def test_odd_docstrings_do_no_harm(doc):
    def look(x: int): ...

    look.__doc__ = doc
    assert tool(look).card["schema"]["properties"] == {"x": {"type": "integer"}}


class Mean:
    """What cannot be shown."""

    def __str__(self):
        raise ValueError("no")

    __repr__ = __str__


cycle: list = [1]
cycle.append(cycle)
ring: dict = {"a": 1}
ring["ring"] = ring


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (float("nan"), "done"),
        ([float("inf"), 1.5], "[null,1.5]"),
        (10**30, str(10**30)),
        (-(2**63), str(-(2**63))),
        pytest.param(10**5000, None, id="an int of 5001 digits"),
        ("a\ud800b", "a\ufffdb"),
        ({"\ud800": 1}, '{"\ufffd":1}'),
        (b"text", "text"),
        (b"\xff\xfe", "<2 bytes>"),
        ({1, 2}, "[1,2]"),
        (frozenset([1]), "[1]"),
        ({1: "a", None: "b"}, '{"1":"a","None":"b"}'),
        (datetime.datetime(2025, 1, 2, 3, 4), "2025-01-02T03:04:00"),
        (datetime.date(2025, 1, 2), "2025-01-02"),
        (datetime.timedelta(hours=1), "1:00:00"),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=0), str(uuid.UUID(int=0))),
        (1 + 2j, "(1+2j)"),
        (np.float32(0.5), "0.5"),
        (np.int64(3), "3"),
        (np.float64("nan"), "done"),
        (np.bool_(True), "true"),
        (np.datetime64("2025-01-02"), "2025-01-02"),
        (np.arange(3), "[0,1,2]"),
        (np.array([np.nan]), "[null]"),
        (Place("A"), '{"name":"A","bed":1}'),
        (Dose(mg=5), '{"mg":5}'),
        (Color.RED, "red"),
        ([Color.RED, {"a": (1, 2)}], '["red",{"a":[1,2]}]'),
        (cycle, None),
        (ring, None),
        (Mean(), "<Mean>"),
        ([Mean()], '["<Mean>"]'),
        (ValueError("bad"), "bad"),
        (None, "done"),
        ("", ""),
    ],
)
@pytest.mark.parametrize("asynchronous", [False, True])
def test_whatever_a_tool_gives_is_told(given, read, asynchronous):
    def sync() -> object:
        return given

    async def later() -> object:
        return given

    said = called(tool(name="give", effect="read")(later if asynchronous else sync), {})
    assert not said.startswith("tool_") and (read is None or said == read), said


def test_numbers_in_arguments_are_what_was_written():
    def take(n: int, x: float = 0.0):
        return [n, x]

    assert called(take, {"n": 2**63 - 1}) == f"[{2**63 - 1},0.0]"
    for wrong in ({"n": 1e30}, {"n": "1"}, {"n": True}, {"n": 1.5}, {"n": None}, {"n": 1, "x": "nan"}):
        assert called(take, wrong).startswith("tool_arguments"), wrong


def test_one_loop_for_a_synchronous_run():
    loops, clients = [], []

    class Client:
        """What is held open between calls, and belongs to its loop."""

        def __init__(self):
            self.loop, self.event = asyncio.get_running_loop(), asyncio.Event()

        async def ask(self):
            assert asyncio.get_running_loop() is self.loop
            self.loop.call_later(0.01, self.event.set)
            await self.event.wait()
            return "x"

    @tool
    async def use(n: int) -> str:
        loops.append(asyncio.get_running_loop())
        if not clients:
            clients.append(Client())
        return await clients[0].ask()

    left, kept = [], []

    @tool
    async def leaves() -> None:
        async def ever():
            try:
                await asyncio.sleep(1000)
            finally:
                left.append("ended")

        kept.append(asyncio.ensure_future(ever()))
        await asyncio.sleep(0)

    def say(request):
        n = sum(message["role"] == "tool" for message in request["messages"])
        calls = [{"name": "use", "arguments": {"n": n + i}} for i in range(1 + n)] + [{"name": "leaves", "arguments": {}}]
        return {"tool_calls": calls} if n < 2 else "done"

    before = threading.active_count()
    runtime = Runtime(model=ScriptedModel(say), tools=[use, leaves])
    assert runtime.ask("go").text == "done"
    assert len(loops) == 3 and len(set(loops)) == 1 and loops[0].is_closed() and left == ["ended"] * 2
    clients.clear()
    assert [event.type for event in runtime.stream.ask("go")][-1] == "end"
    assert len(set(loops)) == 2 and loops[-1].is_closed()
    clients.clear()
    stream = runtime.stream.ask("go")
    while next(stream).type != "tool_result":
        pass
    stream.close()
    assert loops[-1].is_closed() and len(set(loops)) == 3
    assert threading.active_count() <= before + 1


def test_a_forgotten_stream_leaves_no_loop():
    loops = []

    @tool
    async def use() -> str:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        return "x"

    stream = Runtime(model=model_of(("use", {})), tools=[use]).stream.ask("go")
    while next(stream).type != "tool_result":
        pass
    del stream
    gc.collect()
    until = threading.Event()
    for _ in range(200):
        if not any(thread.name == "quorate-loop" for thread in threading.enumerate()):
            break
        until.wait(0.01)
    assert not any(thread.name == "quorate-loop" for thread in threading.enumerate())


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_who_wants_to_leave_leaves(kind, asynchronous):
    def sync() -> None:
        raise kind(3)

    async def later() -> None:
        await asyncio.sleep(0)
        raise kind(3)

    asked = []

    def say(request):
        asked.append(1)
        return {"tool_calls": [{"name": "leave", "arguments": {}}]}

    leave = tool(name="leave")(later if asynchronous else sync)
    runtime = Runtime(model=ScriptedModel(say), tools=[leave])
    with pytest.raises(kind):
        runtime.ask("go")
    with pytest.raises(kind):
        list(runtime.stream.ask("go"))

    async def main():
        with pytest.raises(kind):
            await runtime.aio.ask("go")

    asyncio.run(main())
    # Nobody was told that a tool has failed, and nobody went on.
    assert len(asked) == 3 and {run.status for run in runtime.runs()} == {"cancelled"}
    deciding = Runtime(model=ScriptedModel(say), tools=[tool(name="leave", approval=True)(lambda: None)])
    with pytest.raises(kind):
        deciding.ask("go", approve=lambda pending: later() if asynchronous else sync())


def test_a_cancelled_coroutine_of_a_tool_is_a_failure():
    @tool
    async def gives_up() -> None:
        raise asyncio.CancelledError

    seen = []
    Runtime(model=model_of(("gives_up", {}), seen=seen), tools=[gives_up]).ask("go")
    assert "tool_failed: the tool was cancelled" in seen[0]


def test_a_tool_that_ignores_its_end_is_left():
    @tool(timeout=0.1)
    async def stays() -> None:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            await asyncio.sleep(1000)

    begun = time.perf_counter()
    answer = Runtime(model=model_of(("stays", {})), tools=[stays]).ask("go")
    assert "tool_timeout" in answer.text and time.perf_counter() - begun < 5


def test_threads_that_serve_many_calls_keep_nothing_between_them_and_are_let_go_of():
    local, who = threading.local(), contextvars.ContextVar("who", default="nobody")
    seen, kept = [], []

    class Thing:
        pass

    def say(request):
        seen.append((threading.get_ident(), who.get()))
        who.set("somebody")
        local.thing = getattr(local, "thing", None) or Thing()
        kept.append(weakref.ref(local.thing))
        return "done"

    runtime = Runtime(model=ScriptedModel(say))
    for _ in range(20):
        assert runtime.ask("go").text == "done"
    assert len({thread for thread, _ in seen}) < 20, "no thread was used again"
    assert {name for _, name in seen} == {"nobody"}
    # What Python knows of a thread goes with it, a few seconds after its last call.
    until = time.monotonic() + 20
    while any(thing() is not None for thing in kept) and time.monotonic() < until:
        time.sleep(0.1)
    assert [thing for thing in kept if thing() is not None] == []
    assert runtime.ask("go").text == "done"
