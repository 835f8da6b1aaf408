"""Do language models answer, stream, stop and fail in Python as they do in Rust?"""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import datetime
import enum
import gc
import json
import logging
import os
import pickle
import signal
import threading
import time
import weakref
from typing import Annotated, Literal, NotRequired, TypedDict

import pydantic
import pytest
from loopback import Answer, Server, event, refusal, reply, stream

import quorate

LONG = 20
KEY = "sk-a-very-secret-key-77"
SOON = {"retry_after_ms": "1"}


def model(server, name="openai:m", **options):
    return quorate.Model(name, base_url=server.url, api_key=KEY, **options)


def failing(code, call):
    with pytest.raises(quorate.QuorateError) as caught:
        call()
    assert caught.value.code == code, caught.value
    return caught.value


# Whole answers.


def test_an_answer_has_its_parts():
    with Server(reply("5 mg")) as server:
        found = model(server, price={"input": 2, "output": 8}).complete("Which dose?", max_tokens=7, temperature=0, stop="x", seed=3)
    assert (found.text, found.finish, found.attempts, found.model) == ("5 mg", "stop", 1, "m-1")
    assert (found.usage.input, found.usage.output, found.usage.cached, found.usage.reasoning) == (11, 3, 0, 0)
    assert found.cost == pytest.approx((11 * 2 + 3 * 8) / 1e6)
    assert found.message == {"role": "assistant", "content": "5 mg"}
    assert (found.tool_calls, found.output, found.refusal) == ([], None, None)
    asked = server.asked[0]
    assert asked["messages"] == [{"role": "user", "content": "Which dose?"}]
    assert (asked["temperature"], asked["seed"], asked["stop"]) == (0, 3, ["x"])
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"


def test_where_the_price_is_unknown_the_cost_is_none():
    with Server(reply()) as server:
        asked = model(server)
        assert asked.price is None and asked.complete("q").cost is None
    assert quorate.Model("openai:gpt-4o", api_key=KEY).price["input"] > 0


def test_the_answer_goes_back_into_the_conversation():
    with Server(reply()) as server:
        asked = model(server)
        first = asked.complete("q")
        asked.complete([{"role": "system", "content": "s"}, {"role": "user", "content": "q"}, first, {"role": "user", "content": "r"}])
    assert [m["role"] for m in server.asked[1]["messages"]] == ["system", "user", "assistant", "user"]
    assert "properties" in quorate.message_schema() or "$defs" in quorate.message_schema()


@pytest.mark.parametrize(
    ("answer", "code", "requests"),
    [
        (refusal(400), "remote_failed", 1),
        (refusal(401), "remote_failed", 1),
        (refusal(404), "model_not_found", 1),
        (refusal(400, "maximum context length is 5"), "context_overflow", 1),
        (refusal(429, **SOON), "rate_limited", 2),
        (refusal(429, "You exceeded your current quota", "insufficient_quota"), "rate_limited", 1),
        (refusal(500, **SOON), "remote_failed", 2),
        (Answer(b'{"error": {"message": "no", "type": "invalid_request_error"}}'), "remote_failed", 1),
        (Answer(b"no JSON"), "remote_invalid", None),
        (Answer(reply().body, cut=20), "stream_incomplete", None),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_fails_has_its_code_and_is_asked_again_where_that_helps(answer, code, requests):
    with Server(answer) as server:
        failing(code, lambda: model(server, resilience=quorate.Resilience(attempts=2)).complete("q"))
    assert requests is None or len(server.asked) == requests


def test_the_server_sees_as_many_requests_as_there_were_attempts():
    with Server([refusal(503, **SOON), refusal(429, **SOON), reply()]) as server:
        found = model(server).complete("q")
        assert (found.attempts, found.text) == (3, "5 mg") and len(server.asked) == 3


def test_nobody_there():
    address = "http://127.0.0.1:9/v1"
    one = quorate.Resilience(attempts=1)
    failing("offline", lambda: quorate.Model("openai:m", base_url=address, api_key=KEY, resilience=one).complete("q"))


def test_a_slow_service_is_given_up():
    with Server(Answer(b"", hang=True)) as server:
        bounded = quorate.Resilience(attempts=1, attempt_timeout=0.1, first_byte_timeout=0.1)
        failing("timeout", lambda: model(server, resilience=bounded).complete("q"))
        last = list(model(server, resilience=bounded).stream("q"))[-1]
        assert (last.type, last.error.code) == ("error", "timeout")


def test_another_model_takes_over_and_the_breaker_opens():
    with Server(refusal(500, **SOON)) as bad, Server(reply("from the other")) as good:
        options = quorate.Resilience(attempts=1, breaker=(1, 60), fallback=[model(good)])
        asked = model(bad, resilience=options)
        found = asked.complete("q")
        assert (found.text, found.attempts) == ("from the other", 2)
        assert asked.complete("q").attempts == 1 and len(bad.asked) == 1
        alone = model(bad, resilience=quorate.Resilience(attempts=1, breaker=(1, 60)))
        failing("remote_failed", lambda: alone.complete("q"))
        failing("circuit_open", lambda: alone.complete("q"))


def test_what_is_wrong_is_said_before_anything_is_sent():
    with Server(reply()) as server:
        asked = model(server)
        for call in (
            lambda: asked.complete(5),
            lambda: asked.complete([{"role": "king", "content": "q"}]),
            lambda: asked.complete("q", max_tokens="x"),
            lambda: asked.complete("q", tools="f"),
            lambda: asked.complete("q", tools=[{"description": "x"}]),
            lambda: asked.complete("q", output=5),
            lambda: asked.complete("q", tool_choice="f"),
            lambda: asked.stream("q", temperature=-1),
            lambda: quorate.Model("nobody:m"),
            lambda: quorate.Model("openai:m", api_key=b"x"),
            lambda: quorate.Model("openai:m", resilience={"attempts": 1}),
            lambda: quorate.Resilience(attempts=0),
            lambda: quorate.Resilience(fallback=["m"]),
            lambda: quorate.Resilience(breaker=(1,)),
            lambda: quorate.ScriptedModel("one text"),
            lambda: quorate.ScriptedModel([5]),
        ):
            failing("invalid_argument", call)
        failing("empty_input", lambda: asked.complete([]))
        failing("not_finite", lambda: asked.complete("q", temperature=float("nan")))
    assert server.asked == []


# Streams.


def test_a_stream_says_what_the_whole_answer_says():
    def answer(n, body):
        return stream("5", " m", "g") if body.get("stream") else reply()

    with Server(answer) as server:
        asked = model(server)
        events = list(asked.stream("q"))
        whole = asked.complete("q")
    assert [e.delta for e in events if e.type == "text"] == ["5", " m", "g"]
    assert [e.type for e in events if e.type in ("end", "error", "cancelled")] == ["end"] and events[-1].type == "end"
    assert events[-1].result == whole


def test_a_cut_stream_never_ends_silently():
    whole = stream("one ", "two ", "three")
    for cut in range(0, len(whole.body), 7):
        with Server(dataclasses.replace(whole, cut=cut)) as server:
            events = list(model(server, resilience=quorate.Resilience(attempts=1)).stream("q"))
        last = events[-1]
        text = "".join(e.delta for e in events if e.type == "text")
        assert last.type in ("error", "end"), last
        assert last.result.text == text
        if last.type == "error":
            assert last.error.code == "stream_incomplete" and last.result.finish is None
            assert isinstance(last.error, quorate.Unavailable)


def test_a_broken_attempt_is_begun_anew_and_nothing_is_given_twice():
    whole = stream("one ", "two ", "three")
    cut = len(event({"content": "one "})) + len(event({"content": "two "}))
    with Server([dataclasses.replace(whole, cut=cut), whole]) as server:
        events = list(model(server).stream("q"))
        assert len(server.asked) == 2
    retry = next(e for e in events if e.type == "retry")
    assert (retry.error.code, retry.keep, retry.attempt) == ("stream_incomplete", 8, 2)
    assert "".join(e.delta for e in events if e.type == "text") == "one two three" == events[-1].result.text
    assert events[-1].result.attempts == 2


def test_what_is_taken_back_is_counted_in_code_points():
    first, second = stream("\U0001f642 one"), stream("\U0001f642 two")
    with Server([dataclasses.replace(first, cut=len(event({"content": "\U0001f642 one"}))), second]) as server:
        text = ""
        for one in model(server).stream("q"):
            if one.type == "text":
                text += one.delta
            elif one.type == "retry":
                text = text[: one.keep]
    assert text == "\U0001f642 two" == one.result.text


def test_a_stream_is_cancelled_closed_or_forgotten_and_its_connection_goes():
    beginning = Answer(event({"content": "one"}), kind="text/event-stream", hang=True)
    for leave in ("cancel", "close", "forget"):
        with Server(beginning) as server:
            events = model(server).stream("q")
            assert next(events).delta == "one"
            if leave == "cancel":
                threading.Timer(0.01, events.cancel).start()
                last = list(events)[-1]
                assert (last.type, last.result.text) == ("cancelled", "one")
                failing("cancelled", events.result)
            elif leave == "close":
                with events:
                    pass
                assert list(events) == []
            del events
            assert server.gone.wait(LONG), leave


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("how", ["stream", "complete"])
def test_ctrl_c_stops_a_call_and_its_connection_goes(how, request):
    # Where the tests run in the background nobody has a handler.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    beginning = Answer(event({"content": "one"}), kind="text/event-stream", hang=True)
    with Server(beginning) as server:
        def interrupt():
            while not server.asked:
                pass
            os.kill(os.getpid(), signal.SIGINT)

        asked = model(server)
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            for _ in asked.stream("q") if how == "stream" else [asked.complete("q")]:
                pass
        assert server.gone.wait(LONG)


def test_many_streams_at_once():
    texts = [f"{i} " for i in range(50)]
    with Server(stream(*texts)) as server:
        asked = model(server, resilience=quorate.Resilience(max_concurrent=64))
        found = []
        threads = [threading.Thread(target=lambda: found.append(asked.stream("q").result().text)) for _ in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == ["".join(texts)] * 32


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_no_stream_of_its_parent_and_asks_anew():
    with Server(stream("one")) as server:
        asked = model(server)
        begun, fresh = asked.stream("q"), asked.stream("q")
        assert next(begun).delta == "one"
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                told = [list(begun)[-1].type, list(fresh)[-1].type]
                os.write(write, " ".join(told).encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        told = os.read(read, 100).decode().split()
        os.close(read)
        os.close(write)
        assert told[0] in ("error", "end") and told[1] == "end"
        assert list(begun)[-1].type == "end"


# Answers of a form.


class Unit(enum.Enum):
    MG = "mg"
    G = "g"


@dataclasses.dataclass
class Dose:
    """A dose."""

    amount: float
    unit: Unit
    on: datetime.date | None = None
    tags: tuple[str, ...] = ()


class Plan(TypedDict):
    doses: list[Dose]
    note: NotRequired[Annotated[str, "what else"]]


@dataclasses.dataclass
class Tree:
    name: str
    children: list[Tree] = dataclasses.field(default_factory=list)


class Visit(pydantic.BaseModel):
    code: str = pydantic.Field(pattern="^[A-Z]+$")
    dose: Dose | None = None

    @pydantic.field_validator("code")
    @classmethod
    def known(cls, value):
        if value == "X":
            raise ValueError("X is no code")
        return value


DOSE = Dose(5.0, Unit.MG, datetime.date(2024, 2, 1), ("a",))
DOSE_JSON = {"amount": 5, "unit": "mg", "on": "2024-02-01", "tags": ["a"]}


@pytest.mark.parametrize(
    ("form", "said", "expected"),
    [
        (Dose, DOSE_JSON, DOSE),
        (Dose, {"amount": 1, "unit": "g"}, Dose(1.0, Unit.G)),
        (Plan, {"doses": [DOSE_JSON], "note": "n"}, {"doses": [DOSE], "note": "n"}),
        (Tree, {"name": "a", "children": [{"name": "b"}]}, Tree("a", [Tree("b")])),
        (Visit, {"code": "AB"}, Visit(code="AB")),
        (list[Dose], [DOSE_JSON], [DOSE]),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (Literal["yes", "no"], "no", "no"),
        (int | None, None, None),
        (tuple[int, str], [1, "a"], (1, "a")),
        ({"type": "object", "required": ["a"]}, {"a": [1]}, {"a": [1]}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_answer_takes_the_form_of_a_type(form, said, expected):
    for way in ("native", "tool", "prompt"):
        def answer(n, body, way=way):
            text = json.dumps(said)
            if way != "tool":
                return reply(text)
            schema = body["tools"][0]["function"]["parameters"]
            arguments = text if "value" not in schema.get("properties", {}) else json.dumps({"value": said})
            call = {"id": "1", "type": "function", "function": {"name": body["tools"][0]["function"]["name"], "arguments": arguments}}
            return reply(None, message={"tool_calls": [call]}, finish="tool_calls")

        with Server(answer) as server:
            found = model(server, output_way=way).complete("q", output=form)
        assert found.output == expected and found.finish == "stop" and type(found.output) is type(expected)
    scripted = quorate.ScriptedModel([json.dumps(said)])
    assert list(scripted.stream("q", output=form))[-1].result.output == expected


def test_an_answer_that_does_not_fit_is_mended_or_refused_with_the_path():
    with Server([reply('{"amount": "much", "unit": "mg"}'), reply(json.dumps(DOSE_JSON))]) as server:
        found = model(server).complete("q", output=Dose)
    assert found.output == DOSE and found.attempts == 2
    assert "/amount" in server.asked[1]["messages"][-1]["content"]
    wrong = quorate.ScriptedModel(lambda request: '{"amount": "much", "unit": "mg"}')
    error = failing("output_invalid", lambda: wrong.complete("q", output=Dose, repairs=0))
    assert "/amount" in error.message
    # What a schema cannot say the type says, and the model is told that too.
    with Server([reply('{"code": "X"}'), reply('{"code": "AB"}')]) as server:
        assert model(server).complete("q", output=Visit).output == Visit(code="AB")
    assert "'/code': Value error, X is no code" in server.asked[1]["messages"][-1]["content"]
    wrong = quorate.ScriptedModel(lambda request: '{"code": "X"}')
    error = failing("output_invalid", lambda: wrong.complete("q", output=Visit, repairs=0))
    assert "/code" in error.message and isinstance(error.__cause__, pydantic.ValidationError)
    last = list(wrong.stream("q", output=Visit))[-1]
    assert (last.type, last.error.code, last.result.text, last.result.attempts) == ("error", "output_invalid", '{"code": "X"}', 3)
    dates = quorate.ScriptedModel(['"2024-02-30"', '"2024-02-29"'])
    assert dates.complete("q", output=datetime.date).output == datetime.date(2024, 2, 29)
    failing("model_refused", lambda: quorate.ScriptedModel([{"refusal": "I will not"}]).complete("q", output=Dose))
    failing("output_invalid", lambda: quorate.ScriptedModel([{"text": "{", "finish": "length"}]).complete("q", output=Dose))


# Tools.


def test_a_function_is_a_tool_and_its_calls_come_whole():
    def lookup(code: str, year: int = 2025) -> dict:
        """What a code means.

        More words.
        """
        return {}

    call = {"id": "c1", "type": "function", "function": {"name": "lookup", "arguments": '{"code": "K35"}'}}
    with Server(reply(None, message={"tool_calls": [call]}, finish="tool_calls")) as server:
        asked = model(server)
        found = asked.complete("q", tools=[lookup], tool_choice="required")
        back = [{"role": "user", "content": "q"}, found, {"role": "tool", "tool_call_id": "c1", "content": "appendicitis"}]
        asked.complete(back, tools=[lookup])
    spec = server.asked[0]["tools"][0]["function"]
    assert (spec["name"], spec["description"], server.asked[0]["tool_choice"]) == ("lookup", "What a code means.", "required")
    assert spec["parameters"]["required"] == ["code"] and spec["parameters"]["properties"]["year"] == {"type": "integer", "default": 2025}
    assert found.finish == "tool_calls" and found.tool_calls == [quorate.ToolCall("c1", "lookup", {"code": "K35"})]
    assert server.asked[1]["messages"][-1] == {"role": "tool", "tool_call_id": "c1", "content": "appendicitis"}


def test_a_broken_call_is_none_that_runs():
    for arguments, finish in (('{"code": ', "tool_calls"), ('{"code": "K35"}', "length")):
        call = {"id": "c1", "type": "function", "function": {"name": "lookup", "arguments": arguments}}
        with Server(reply(None, message={"tool_calls": [call]}, finish=finish)) as server:
            found = model(server).complete("q", tools=[{"name": "lookup"}])
        assert found.tool_calls == [] and [c.name for c in found.broken_calls] == ["lookup"]


# Models of tests.


def test_a_script_says_what_it_is_told_to():
    said = quorate.ScriptedModel(["a", {"text": "b", "usage": {"input": 1, "output": 2}}, quorate.Unavailable("rate_limited", "slowly")])
    assert (said.complete("q").text, said.complete("q").usage.output) == ("a", 2)
    assert failing("rate_limited", lambda: said.complete("q")).message == "slowly"
    failing("invalid_argument", lambda: said.complete("q"))
    echo = quorate.ScriptedModel(lambda request: request["messages"][-1]["content"], id="scripted:echo", price={"input": 1, "output": 1})
    assert (echo.complete("q").text, echo.id, echo.complete("q").cost > 0) == ("q", "scripted:echo", True)
    assert isinstance(echo, quorate.Model)
    again = quorate.ScriptedModel([echo.complete("once")])
    assert again.complete("x").text == "once"


def test_a_script_may_be_a_coroutine_function_or_raise():
    async def answer(request):
        await asyncio.sleep(0)
        return {"tool_calls": [{"name": "f", "arguments": {"a": 1}}]}

    assert quorate.ScriptedModel(answer).complete("q", tools=[{"name": "f"}]).tool_calls[0].arguments == {"a": 1}
    assert list(quorate.ScriptedModel(answer).stream("q"))[-1].result.finish == "tool_calls"
    asyncio.run(quorate.ScriptedModel(answer).aio.complete("q"))

    def wrong(request):
        raise KeyError("mine")

    error = failing("callback", lambda: quorate.ScriptedModel(wrong).complete("q"))
    assert isinstance(error.__cause__, KeyError) and "mine" in error.message
    assert list(quorate.ScriptedModel(wrong).stream("q"))[-1].error.code == "callback"
    calls = []

    def flaky(request):
        calls.append(1)
        if len(calls) == 1:
            raise quorate.Unavailable("timeout", "too slow")
        return "at last"

    assert quorate.ScriptedModel(flaky).complete("q").attempts == 2


# Recording.


def test_what_was_recorded_is_answered_again_without_a_network(tmp_path):
    def answer(n, body):
        if body["messages"][-1]["content"] == "no":
            return refusal(400)
        return stream("5 ", "mg") if body.get("stream") else reply()

    ask = [{"role": "user", "content": [{"type": "text", "text": "q"}]}]
    with Server(answer) as server:
        asked = model(server)
        for path in ("a.jsonl", "b.jsonl"):
            with quorate.record(tmp_path / path, redact=["content"]):
                failing("duplicate_id", lambda: quorate.record(tmp_path / "c.jsonl"))
                whole = asked.complete("q")
                streamed = asked.stream("q").result()
                failing("remote_failed", lambda: asked.complete("no"))
    text = (tmp_path / "a.jsonl").read_text()
    assert text == (tmp_path / "b.jsonl").read_text()
    assert KEY not in text and all(json.loads(line) for line in text.splitlines())
    with Server(answer) as server:
        asked = model(server)
        with quorate.record(tmp_path / "d.jsonl"):
            whole = asked.complete(ask)
            streamed = asked.stream("q").result()
            failing("remote_failed", lambda: asked.complete("no"))
    seen = len(server.asked)
    with quorate.replay(tmp_path / "d.jsonl"):
        assert asked.complete(ask) == whole
        assert asked.stream("q").result() == streamed
        failing("remote_failed", lambda: asked.complete("no"))
        assert "not recorded" in failing("replay_mismatch", lambda: asked.complete("another")).message
    assert len(server.asked) == seen
    failing("not_found", lambda: quorate.replay(tmp_path / "nothing.jsonl"))


# What shows, and what never does.


def test_a_key_shows_nowhere(caplog):
    caplog.set_level(logging.DEBUG)
    told = f"the key {KEY} is wrong"
    with Server([refusal(401, told), refusal(500, told, **SOON), refusal(401, told)]) as server:
        asked = model(server)
        shown = [repr(asked), str(asked), repr(vars(asked)), repr(asked.aio)]
        for call in (lambda: asked.complete("q"), lambda: asked.complete("q")):
            with pytest.raises(quorate.QuorateError) as caught:
                call()
            shown += [str(caught.value), repr(caught.value), caught.value.message]
        shown += [repr(e) for e in asked.stream("q")]
    shown += [record.getMessage() + repr(record.__dict__) for record in caplog.records]
    assert not [text for text in shown if KEY in text]
    assert repr(asked) == "Model('openai:m')"
    with pytest.raises(quorate.InvalidInput) as caught:
        quorate.Model("openai:m", api_key=KEY + "\n")
    assert KEY not in str(caught.value)


def test_results_are_copied_pickled_and_written():
    events = list(quorate.ScriptedModel([{"text": "5 mg", "tool_calls": [{"name": "f"}]}]).stream("q", tools=[{"name": "f"}]))
    for value in [*events, events[-1].result]:
        assert copy.deepcopy(value) == value == pickle.loads(pickle.dumps(value))
        assert json.loads(value.to_json()) == value.to_dict()
    failed = list(quorate.ScriptedModel([quorate.NotFound("model_not_found", "m")]).stream("q"))[-1]
    assert failed.to_dict()["error"] == {"code": "model_not_found", "message": "m"}
    assert str(events[-1].result) == "5 mg" and "5 mg" in repr(events[-1].result)


def test_a_model_is_shared_and_says_so_when_it_is_copied():
    asked = quorate.ScriptedModel(["one"])
    assert copy.copy(asked) is asked
    for leave in (copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="share the object"):
            leave(asked)


def test_tokens_are_counted():
    asked = quorate.Model("openai:m", api_key=KEY)
    few, many = asked.count_tokens("q"), asked.count_tokens("word " * 100, tools=[{"name": "f"}])
    assert few.tokens < many.tokens and few.exact is False


@pytest.mark.parametrize("way", ["model", "runtime", "tool", "fallback", "judge", "approve", "asked"])
def test_functions_that_refer_to_what_holds_them_are_collected(way):
    class Host:
        """What a program is made of: it holds all, and its methods are the functions of all."""

        def __init__(self):
            self.model = quorate.ScriptedModel(self.say)
            if way == "fallback":
                self.model = quorate.Model("openai:m", api_key="k", resilience=quorate.Resilience(fallback=[self.model]))
            if way != "model":
                tools = [self.look] if way == "tool" else []
                self.runtime = quorate.Runtime(model=self.model, tools=tools, approve=self.approve if way == "approve" else None)
            if way == "judge":
                self.judge = quorate.Judge(self.model)
            if way == "asked":
                assert self.runtime.ask("q", tools=[self.look], approve=self.approve).text == "x"
                self.stream = self.runtime.stream.ask("q", tools=[self.look])
                assert self.stream.result().text == "x"
                self.talk = self.runtime.conversation()

        def say(self, request):
            return "x"

        def look(self) -> str:
            return "x"

        def approve(self, pending):
            return True

    host = weakref.ref(Host())
    for _ in range(100):
        gc.collect()
        # The native half lets go of what it held when it is next called.
        quorate.Budget()
        if host() is None:
            break
        time.sleep(0.01)
    assert host() is None


def test_what_is_asked_lives_as_long():
    assert [e.type for e in quorate.ScriptedModel(lambda request: "x").stream("q")] == ["text", "end"]
    assert quorate.Runtime(model=quorate.ScriptedModel(lambda request: "x")).stream.ask("q").result().text == "x"
    dead = quorate.Resilience(attempts=1, fallback=[quorate.ScriptedModel(lambda request: "other")])
    model = quorate.Model("openai:m", base_url="http://127.0.0.1:9/v1", api_key="k", resilience=dead)
    del dead
    gc.collect()
    assert model.complete("q").text == "other"
    talk = quorate.Runtime(model=quorate.ScriptedModel(lambda request: "x")).conversation(keep="summary", max_tokens=10)
    gc.collect()
    talk.add([{"role": "user", "content": "hello"}])
    assert talk._of.ask("q", conversation=talk).text == "x"

    async def main():
        return [e.type async for e in quorate.ScriptedModel(lambda request: "x").aio.stream("q")]

    assert asyncio.run(main()) == ["text", "end"]
