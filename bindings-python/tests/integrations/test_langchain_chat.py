"""Does LangChain's own suite for chat models pass on ChatQuorate? The service is a server on this machine.

The suite is run as it is. What it skips: audio, PDF and other inputs that quorate does not send, results of tools that are no text,
and recorded traffic (VCR). Images are fetched from the internet by the suite; a test of our own sends them.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path

import pydantic
import pytest
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    HumanMessage,
    HumanMessageChunk,
    SystemMessage,
    SystemMessageChunk,
    ToolMessage,
)
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

sys.path.insert(0, str(Path(__file__).parent.parent))
from loopback import Answer, Server, event, reply, stream  # noqa: E402

import quorate
from quorate.integrations.langchain import ChatQuorate

JOKE = {"setup": "Why did the cat sit on the computer?", "punchline": "To keep an eye on the mouse."}


def filled(schema, text):
    """Arguments that a model would give: numbers that the question names, else the question."""
    numbers = re.findall(r"\d+", text)
    found = {}
    for name, member in schema.get("properties", {}).items():
        found[name] = int(numbers[0]) if member.get("type") == "integer" and numbers else 3 if member.get("type") == "integer" else text
    return found


def service(n, body):
    """A service that does what it is asked."""
    messages, tools = body["messages"], body.get("tools", [])
    asked = next((m["content"] for m in reversed(messages) if m["role"] == "user"), "")
    text = asked if isinstance(asked, str) else "".join(part.get("text", "") for part in asked)
    choice = body.get("tool_choice", "auto")
    calls = []
    if tools and choice != "none" and (messages[-1]["role"] != "tool" or choice == "required"):
        named = choice["function"]["name"] if isinstance(choice, dict) else tools[0]["function"]["name"]
        schema = next(t["function"]["parameters"] for t in tools if t["function"]["name"] == named)
        arguments = JOKE if "setup" in schema.get("properties", {}) else filled(schema, text)
        calls = [{"id": f"call_{n}", "type": "function", "function": {"name": named, "arguments": json.dumps(arguments)}}]
    said = json.dumps(JOKE) if "response_format" in body else "Hello there, friend."
    model = {"model": body["model"]}
    if not body.get("stream"):
        if calls:
            return reply(None, message={"tool_calls": calls}, finish="tool_calls", **model)
        return reply(said, **model)
    if not calls:
        answer = stream(*re.findall(r"\S+\s*", said))
    else:
        pieces = event({"tool_calls": [{"index": 0, **calls[0]}]}) + event({}, "tool_calls")
        usage = b'data: {"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 3}}\n\n'
        answer = Answer(pieces + usage + b"data: [DONE]\n\n", kind="text/event-stream")
    answer.body = answer.body.replace(b'"m-1"', json.dumps(body["model"]).encode())
    return answer


SERVER = Server(service)
PARAMS = {"model": "openai:m-1", "base_url": SERVER.url, "api_key": "key"}


class TestChatQuorateUnit(ChatModelUnitTests):
    chat_model_class = ChatQuorate

    @property
    def chat_model_params(self):
        return {"model": "openai:m-1", "base_url": SERVER.url}

    @property
    def init_from_env_params(self):
        # The key is quorate's own, and no attribute shows it.
        return {"OPENAI_API_KEY": "key"}, {"model": "openai:m-1"}, {"api_key": None}

    supports_json_mode = True


class TestChatQuorateIntegration(ChatModelIntegrationTests):
    chat_model_class = ChatQuorate
    chat_model_params = PARAMS
    supports_json_mode = True
    supports_model_override = True
    model_override_value = "m-2"


def scripted(*replies, **options):
    return ChatQuorate(model=quorate.ScriptedModel(list(replies)), **options)


def test_messages_of_all_kinds_are_understood():
    seen = []
    model = ChatQuorate(model=quorate.ScriptedModel(lambda request: seen.append(request["messages"]) or "ok"))
    image = "data:image/png;base64,AAAA"
    picture = [
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": image}},
        {"type": "image", "base64": "AAAA", "mime_type": "image/png"},
        {"type": "image", "url": "https://example.org/a.png"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
    ]
    call = {"name": "f", "args": {"a": 1}, "id": "c1", "type": "tool_call"}
    model.invoke([
        SystemMessage("s"), HumanMessage(picture), AIMessage("", tool_calls=[call]),
        ToolMessage([{"type": "text", "text": "1"}, {"n": 2}], tool_call_id="c1", status="error"), ChatMessage("t", role="user"),
    ])  # fmt: skip
    system, human, assistant, tool, generic = seen[0]
    assert (system["content"], generic) == ("s", {"role": "user", "content": "t"})
    assert [part.get("url") for part in human["content"][1:]] == [image, image, "https://example.org/a.png", image]
    assert assistant["content"] == [{"type": "tool_call", "id": "c1", "name": "f", "arguments": {"a": 1}}]
    assert tool["content"] == [{"type": "tool_result", "tool_call_id": "c1", "content": '1\n{"n": 2}', "error": True}]
    with pytest.raises(quorate.InvalidInput):
        model.invoke([HumanMessage([{"type": "audio", "base64": "AAAA"}])])


def test_what_a_service_wants_back_goes_back():
    seen = []

    def answer(request):
        seen.append(request["messages"])
        return {"content": [{"type": "reasoning", "source": "s", "text": "hm", "data": {"signature": "x"}}, {"type": "text", "text": "5 mg"}]}

    model = ChatQuorate(model=quorate.ScriptedModel(answer))
    first = model.invoke("q")
    streamed = None
    for chunk in model.stream("q"):
        streamed = chunk if streamed is None else streamed + chunk
    assert first.content == streamed.content == "5 mg"
    for said in (first, streamed):
        model.invoke([HumanMessage("q"), said, HumanMessage("r")])
        assert seen[-1][1]["content"][0] == {"type": "reasoning", "source": "s", "text": "hm", "data": {"signature": "x"}}


def test_usage_cost_and_broken_calls_are_told():
    broken = {"tool_calls": [{"name": "f", "arguments": "{"}], "usage": {"input": 5, "output": 2, "cached": 3, "reasoning": 1}}
    for found in (scripted(broken).invoke("q"), list(scripted(broken).stream("q"))[-1]):
        assert found.usage_metadata["total_tokens"] == 7 and found.usage_metadata["input_token_details"]["cache_read"] == 3
        assert found.tool_calls == [] and found.response_metadata["invalid_tool_calls"][0]["args"] == "{"
        assert found.response_metadata["attempts"] == 1 and found.response_metadata["cost"] is None


def summed(chunks):
    total = None
    for chunk in chunks:
        total = chunk if total is None else total + chunk
    return total


async def astreamed(model):
    return summed([chunk async for chunk in model.astream("q")])


def test_a_call_that_was_cut_never_runs():
    call = {"type": "tool_call", "id": "c1", "name": "pay", "arguments": {}, "broken": '{"amount": 10, "to": "Bo'}
    whole = {**call, "arguments": {"amount": 10}, "broken": '{"amount": 10}'}
    for said in (call, whole):
        cut = {"content": [{"type": "text", "text": "Paying."}, said], "finish": "length"}

        for found in (
            scripted(cut).invoke("pay"),
            summed(scripted(cut).stream("pay")),
            asyncio.run(astreamed(scripted(cut))),
            scripted(cut, streaming=True).invoke("pay"),
        ):
            assert found.tool_calls == []
            assert [c["args"] for c in found.response_metadata["invalid_tool_calls"]] == [said["broken"]]
            # It goes back into the conversation, so that a result of it finds its call.
            seen = []
            model = ChatQuorate(model=quorate.ScriptedModel(lambda request, seen=seen: seen.append(request["messages"]) or "ok"))
            model.invoke([HumanMessage("q"), found, ToolMessage("invalid arguments", tool_call_id="c1")])
            calls = [part for part in seen[0][1]["content"] if part["type"] == "tool_call"]
            assert [(part["id"], part["broken"]) for part in calls] == [("c1", said["broken"])]
        assert scripted(cut).invoke("pay").invalid_tool_calls[0]["args"] == said["broken"]


def refused(call):
    with pytest.raises(quorate.QuorateError) as caught:
        call()
    assert caught.value.code == "invalid_argument", caught.value
    return caught.value.message


def test_what_is_not_known_is_refused_with_a_code():
    model = scripted("a")
    for told, call in {
        "temprature": lambda: ChatQuorate(model=model.model, temprature=0.5),
        "base_url": lambda: ChatQuorate(model=model.model, base_url="http://127.0.0.1:9"),
        "timeout": lambda: ChatQuorate(model=model.model, timeout=1),
        "nonsense": lambda: ChatQuorate(model="nonsense"),
        "attempts": lambda: ChatQuorate(model="openai:m", api_key="k", max_retries=-5),
        "top_p": lambda: model.invoke("q", top_p=0.5),
        "jsonmode": lambda: model.with_structured_output({"type": "object"}, method="jsonmode"),
        "of type int": lambda: model.with_structured_output(5),
        "of type dict: Unsupported": lambda: model.with_structured_output({"a": 1}),
        "of type str": lambda: model.bind_tools(["f"]),
        "parallel_tool_calls": lambda: model.bind_tools([], parallel_tool_calls=False),
        "has no 'text'": lambda: model.invoke([HumanMessage([{"type": "text"}])]),
        "has no 'image_url'": lambda: model.invoke([HumanMessage([{"type": "image_url"}])]),
        "has no 'base64'": lambda: model.invoke([HumanMessage([{"type": "image"}])]),
        "url": lambda: model.invoke([HumanMessage([{"type": "image_url", "image_url": {"url": 5}}])]),
        "of type 'audio'": lambda: model.invoke([HumanMessage([{"type": "audio"}])]),
        "no messages of type": lambda: model.invoke([ChatMessage("q", role="king")]),
    }.items():
        assert told in refused(call), told
    assert ChatQuorate(model="openai:m", api_key="k", price={"input": 1, "output": 1})._of(None).price["input"] == 1


def test_chunks_are_messages_too_and_common_options_of_tools_are_known():
    def f(x: int) -> int:
        "Doubles."
        return 2 * x

    assert scripted("a").invoke([SystemMessageChunk(content="s"), HumanMessageChunk(content="q"), AIMessageChunk(content="b"), HumanMessage("r")]).content == "a"
    assert scripted("a").bind_tools([f], strict=True, parallel_tool_calls=True).invoke("q").content == "a"
    with Server(service) as server:
        model = ChatQuorate(model="openai:m", base_url=server.url, api_key="k", extra={"top_p": 0.5})
        model.bind_tools([f], parallel_tool_calls=False).invoke("q 5")
        assert (server.asked[0]["parallel_tool_calls"], server.asked[0]["top_p"]) == (False, 0.5)


def test_a_timeout_bounds_streams_too():
    with Server(Answer(b"", hang=True)) as silent:
        model = ChatQuorate(model="openai:m", base_url=silent.url, api_key="k", timeout=0.1, max_retries=0)
        for call in (lambda: model.invoke("q"), lambda: list(model.stream("q"))):
            with pytest.raises(quorate.Unavailable) as caught:
                call()
            assert caught.value.code == "timeout"


class Dose(pydantic.BaseModel):
    "A dose."
    mg: int


def test_raw_answers_that_are_not_of_their_form_come_with_the_error():
    def model(*replies):
        return scripted(*replies).with_structured_output(Dose, include_raw=True)

    found = model('{"mg": 5}').invoke("q")
    assert (found["parsed"], found["parsing_error"], found["raw"].content) == (Dose(mg=5), None, '{"mg": 5}')
    for said, code in (("x", "output_invalid"), ('{"mg": "much"}', "output_invalid"), ({"refusal": "I will not"}, "model_refused")):
        for found in (
            model(said, said, said).invoke("q"),
            asyncio.run(model(said, said, said).ainvoke("q")),
            summed(model(said, said, said).stream("q")),
            asyncio.run(astreamed(model(said, said, said))),
        ):
            assert found["parsed"] is None and found["parsing_error"].code == code
            assert found["raw"].content == (said if isinstance(said, str) else "")
    # A schema that no parser of LangChain checks.
    loose = scripted(*['{"a": "x"}'] * 3).with_structured_output({"type": "object", "properties": {"a": {"type": "integer"}}}, include_raw=True)
    found = loose.invoke("q")
    assert found["parsed"] is None and found["parsing_error"].code == "output_invalid"
    # Other errors are errors.
    with pytest.raises(quorate.Unavailable):
        model(quorate.Unavailable("rate_limited", "slowly")).invoke("q")


def test_a_schema_needs_no_title():
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert scripted('{"a": 1}').with_structured_output(schema).invoke("q") == {"a": 1}
    assert scripted('"c"', '"b"').with_structured_output({"enum": ["a", "b"]}).invoke("q") == "b"
    call = {"tool_calls": [{"name": "answer", "arguments": {"a": 1}}]}
    assert scripted(call).with_structured_output(schema, method="function_calling").invoke("q") == {"a": 1}


def test_errors_keep_their_code_and_text_is_never_taken_back():
    with pytest.raises(quorate.Unavailable):
        scripted(quorate.Unavailable("rate_limited", "slowly")).invoke("q")
    with pytest.raises(quorate.Unavailable):
        list(scripted(quorate.Unavailable("rate_limited", "slowly")).stream("q"))
    first = stream("one ")
    first.cut = len(event({"content": "one "}))
    for second, same in ((stream("one ", "two"), True), (stream("other"), False)):
        with Server([first, second]) as server:
            chunks = ChatQuorate(model="openai:m", base_url=server.url, api_key="k").stream("q")
            if same:
                assert "".join(chunk.content for chunk in chunks) == "one two"
            else:
                with pytest.raises(quorate.Unavailable) as caught:
                    list(chunks)
                assert caught.value.code == "stream_incomplete"


def test_a_key_shows_nowhere():
    model = ChatQuorate(model="openai:m", api_key="sk-a-very-secret-key-77")
    assert "very-secret" not in repr(model) + str(model) + repr(vars(model))
