"""In whose span does a run lie, and what lies in its own?"""

import asyncio
import threading
import time

import pytest
import quorate
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from quorate import telemetry
from traced import CALL, WITHIN, otel, runtime, settled, tree, votes


def test_a_nested_run_lies_in_the_call_that_asked_it(otel):
    _, exporter, _ = otel
    registry = quorate.AgentRegistry(catalog=None)
    registry.add({"id": "doses", "name": "Doses", "summary": "Doses of medicines."})
    inner = quorate.Runtime(model=quorate.ScriptedModel(["5 mg"]), registry=registry)
    ask = quorate.agent_tool(inner, "doses")
    call = {"tool_calls": [{"id": "c1", "name": ask.name, "arguments": {"question": "Which dose?"}}]}
    runtime(call, "5 mg.", tools=[ask]).ask("Which dose?")
    tool = f"execute_tool {ask.name}"
    assert (tool, "invoke_agent Doses") in tree(exporter.get_finished_spans())


def test_a_run_that_a_function_asks_lies_in_its_call(otel):
    provider, exporter, _ = otel
    inner = runtime("5 mg", "5 mg", tools=[])

    @quorate.tool(name="lookup")
    def asks(code: str) -> str:
        """What a code means."""
        return inner.ask("Which dose?").text

    with provider.get_tracer("host").start_as_current_span("host"):
        runtime(CALL, "5 mg.", tools=[asks]).ask("Which dose?")
    settled(lambda: sum(span.name == "invoke_agent" for span in exporter.get_finished_spans()) == 2)
    assert tree(exporter.get_finished_spans()) == [
        ("", "host"),
        ("execute_tool lookup", "invoke_agent"),
        ("host", "invoke_agent"),
        *[("invoke_agent", "chat list")] * 3,
        ("invoke_agent", "execute_tool lookup"),
    ]
    exporter.clear()

    def member(request):
        inner.ask("Which dose?")
        return votes(request)

    quorate.Runtime(model=quorate.ScriptedModel(member)).panel("Is it?", members=["ann"], options=["yes", "no"])
    settled(lambda: sum(span.name == "invoke_agent" for span in exporter.get_finished_spans()) == 2)
    assert ("chat function", "invoke_agent") in tree(exporter.get_finished_spans())


def asked_as_panel(way, experts):
    given = {"members": ["ann", "bob"], "options": ["yes", "no"]}
    if way == "panel":
        return experts.panel("SECRET?", **given)
    if way == "stream":
        with experts.stream.panel("SECRET?", **given) as stream:
            return stream.result()

    async def main():
        return await experts.aio.panel("SECRET?", **given)

    return asyncio.run(main())


@pytest.mark.parametrize("way", ["panel", "stream", "aio"])
def test_a_panel_is_a_span_with_the_requests_to_its_members(otel, way):
    provider, exporter, _ = otel
    experts = quorate.Runtime(model=quorate.ScriptedModel(votes))
    with provider.get_tracer("host").start_as_current_span("host"):
        panel = asked_as_panel(way, experts)
    assert panel.status == "done"
    settled(lambda: len(exporter.get_finished_spans()) == 4)
    spans = exporter.get_finished_spans()
    assert tree(spans) == [("", "host"), ("host", "invoke_agent"), *[("invoke_agent", "chat function")] * 2]
    chats = [span for span in spans if span.name == "chat function"]
    assert sorted(span.attributes["quorate.panel.member"] for span in chats) == ["ann", "bob"]
    assert all(span.attributes["gen_ai.usage.output_tokens"] > 0 for span in chats)
    assert all(span.attributes["gen_ai.response.finish_reasons"] == ("stop",) for span in chats)
    assert all("SECRET" not in span.to_json() and "traceparent" not in span.attributes for span in spans)


def test_no_span_lies_in_that_of_another_caller(otel):
    """Whoever hands spans over may be another thread, within another span."""
    provider, exporter, _ = otel
    tracer, hosts, lock = provider.get_tracer("host"), {}, threading.Lock()
    together = threading.Barrier(12)

    def ask(i):
        def slow(request):
            time.sleep(0.02)
            return votes(request)

        experts = quorate.Runtime(model=quorate.ScriptedModel(slow))
        together.wait()

        def once():
            if i % 2:
                return experts.panel("Is it?", members=["ann", "bob"], options=["yes", "no"]).run_id
            return experts.ask("Is it?").run_id

        for _ in range(5):
            if i % 3 == 0:
                found, host = once(), None
            else:
                with tracer.start_as_current_span("host") as span:
                    found, host = once(), span.context.span_id
            with lock:
                hosts[found] = host

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(12)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    settled(lambda: sum(span.name == "invoke_agent" for span in exporter.get_finished_spans()) == 60)
    runs = [span for span in exporter.get_finished_spans() if span.name == "invoke_agent"]
    found = {span.attributes["quorate.run.id"]: None if span.parent is None else span.parent.span_id for span in runs}
    assert found == hosts


@quorate.tool(name="lookup", effect="write")
def writes(code: str) -> str:
    """What a code means."""
    return "done"


@pytest.mark.parametrize("way", ["resume", "stream", "aio", "replay", "evaluate"])
def test_what_goes_on_or_is_asked_again_lies_in_the_span_of_who_asks(otel, way):
    provider, exporter, _ = otel
    experts = runtime(CALL, "Done.", tools=[writes])
    waits = experts.ask("What?")
    assert waits.status == "waiting"
    settled(lambda: any(span.name == "invoke_agent" for span in exporter.get_finished_spans()))
    exporter.clear()
    found = []

    def go_on():
        decisions = {"c1": "approve"}
        if way == "resume":
            experts.resume(waits.run_id, decisions)
        elif way == "stream":
            experts.stream.resume(waits.run_id, decisions).result()
        elif way == "aio":
            asyncio.run(experts.aio.resume(waits.run_id, decisions))
        elif way == "replay":
            plain = runtime("5 mg", "5 mg")
            plain.replay(plain.ask("Which dose?").run_id)
        else:
            task = {"id": "dose", "question": "Which dose?", "expect": {"exact": "5 mg"}}
            quorate.evaluate_agents(runtime("5 mg", "5 mg"), [task], repeat=2, threads=2)
        found.append(True)

    # Somebody else hands over meanwhile.
    stop = threading.Event()

    def others():
        while not stop.is_set():
            experts.runs()

    other = threading.Thread(target=others)
    other.start()
    try:
        with provider.get_tracer("host").start_as_current_span("host") as host:
            go_on()
    finally:
        stop.set()
        other.join()
    runs = 2 if way in ("replay", "evaluate") else 1
    settled(lambda: sum(span.name == "invoke_agent" for span in exporter.get_finished_spans()) == runs)
    parents = [span.parent and span.parent.span_id for span in exporter.get_finished_spans() if span.name == "invoke_agent"]
    assert found and parents == [host.context.span_id] * runs


def test_a_tracer_that_follows_another_has_spans_within_those_that_are_open(otel):
    provider, exporter, _ = otel
    others = InMemorySpanExporter()
    other = TracerProvider()
    other.add_span_processor(SimpleSpanProcessor(others))

    @quorate.tool(name="lookup")
    def late(code: str) -> str:
        """What a code means."""
        # It takes what waits, also during a call.
        telemetry.instrument(tracer_provider=other)
        return "SECRET"

    with provider.get_tracer("host").start_as_current_span("host"):
        runtime(CALL, "A catheter.", tools=[late]).ask("What?")
    assert tree(exporter.get_finished_spans()) == sorted([("", "host"), *WITHIN[:2], WITHIN[3]])
    (chat,) = others.get_finished_spans()
    run = next(span for span in exporter.get_finished_spans() if span.name == "invoke_agent")
    assert (chat.name, chat.parent.span_id) == ("chat list", run.context.span_id)


def test_what_is_open_when_another_tracer_takes_over_is_the_parent_of_what_it_hears(otel):
    provider, exporter, _ = otel

    @quorate.tool(name="lookup")
    def late(code: str) -> str:
        """What a code means."""
        telemetry.uninstrument()
        telemetry.instrument(tracer_provider=provider)
        return "SECRET"

    telemetry.listen(lambda span: None)
    try:
        with provider.get_tracer("host").start_as_current_span("host"):
            runtime(CALL, "A catheter.", tools=[late]).ask("What?")
    finally:
        telemetry.listen(None)
    # The first request ended with the tracer before.
    assert tree(exporter.get_finished_spans()) == sorted([("", "host"), WITHIN[0], ("?", "chat list"), *WITHIN[2:]])
