"""Do runs show up in OpenTelemetry as they happened, in whichever way they were asked for, and with nothing of what was said?"""

import asyncio
import http.server
import os
import subprocess
import sys
import threading
import time

import pytest
import quorate
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from quorate import telemetry

CALL = {"tool_calls": [{"id": "c1", "name": "lookup", "arguments": {"code": "SECRET"}}]}


@quorate.tool
def lookup(code: str) -> str:
    """What a code means."""
    return "SECRET"


@quorate.tool(name="lookup")
def broken(code: str) -> str:
    """What a code means."""
    raise RuntimeError("SECRET")


def runtime(*replies, tools=(lookup,)):
    return quorate.Runtime(model=quorate.ScriptedModel(list(replies)), tools=tools)


@pytest.fixture
def otel():
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    telemetry.instrument(tracer_provider=provider, meter_provider=MeterProvider([reader]))
    yield provider, exporter, reader
    telemetry.uninstrument()


def tree(spans):
    """Names by parent's name."""
    by_id = {span.context.span_id: span.name for span in spans}
    return sorted(("" if span.parent is None else by_id.get(span.parent.span_id, "?"), span.name) for span in spans)


WITHIN = [
    ("host", "invoke_agent"),
    ("invoke_agent", "chat list"),
    ("invoke_agent", "chat list"),
    ("invoke_agent", "execute_tool lookup"),
]


def asked_in(way):
    """One run of two requests and a call, within a span of the host."""
    experts = runtime(CALL, "A SECRET.")
    question = "What is SECRET?"
    if way == "ask":
        return experts.ask(question)
    if way == "stream":
        with experts.stream.ask(question) as stream:
            return stream.result()
    if way == "thread":
        from contextvars import copy_context

        found = []
        context = copy_context()
        thread = threading.Thread(target=lambda: found.append(context.run(experts.ask, question)))
        thread.start()
        thread.join()
        return found[0]

    async def main():
        if way == "aio":
            return await experts.aio.ask(question)
        last = None
        async for event in experts.aio.stream.ask(question):
            last = event
        return last.result

    return asyncio.run(main())


@pytest.mark.parametrize("way", ["ask", "stream", "thread", "aio", "aio stream"])
def test_a_run_lies_in_the_span_of_who_asked(otel, way):
    provider, exporter, _ = otel
    with provider.get_tracer("host").start_as_current_span("host"):
        answer = asked_in(way)
    assert answer.text == "A SECRET."
    # The run's own span ends with its thread, a moment after the last event of a stream.
    for _ in range(100):
        if len(exporter.get_finished_spans()) == 5:
            break
        quorate.Runtime(model=quorate.ScriptedModel([])).runs()
        threading.Event().wait(0.02)
    spans = exporter.get_finished_spans()
    assert tree(spans) == [("", "host"), *WITHIN]
    assert len({span.context.trace_id for span in spans}) == 1
    run = next(span for span in spans if span.name == "invoke_agent")
    assert run.attributes["quorate.run.id"] == answer.run_id
    assert run.attributes["quorate.run.status"] == "done"
    assert "traceparent" not in run.attributes
    for span in spans:
        if span.name not in ("host", "invoke_agent"):
            assert run.start_time <= span.start_time <= span.end_time <= run.end_time
            assert "SECRET" not in str(span.attributes)


def test_requests_and_tools_that_fail_say_so(otel):
    _, exporter, _ = otel
    answer = runtime(CALL, "It failed.", tools=[broken]).ask("What?")
    assert answer.status == "done"
    with pytest.raises(quorate.QuorateError):
        quorate.Runtime(model=quorate.ScriptedModel([])).ask("What?")
    failed = {span.name: span for span in exporter.get_finished_spans() if span.status.status_code is StatusCode.ERROR}
    assert failed["execute_tool lookup"].attributes["error.type"] == "callback"
    assert failed["chat list"].attributes["error.type"] == "invalid_argument"
    assert failed["invoke_agent"].attributes["quorate.run.status"] == "failed"
    assert all("SECRET" not in str(span.to_json()) for span in failed.values())


def test_metrics_count_what_was_used(otel):
    _, _, reader = otel
    answer = runtime(CALL, "A catheter.").ask("What?")
    found = {
        metric.name: metric.data.data_points
        for scope in reader.get_metrics_data().resource_metrics
        for one in scope.scope_metrics
        for metric in one.metrics
    }
    assert set(found) == {
        "gen_ai.client.operation.duration",
        "gen_ai.client.token.usage",
        "quorate.run.duration",
        "quorate.tool.duration",
    }
    (chat,) = found["gen_ai.client.operation.duration"]
    assert chat.count == 2
    assert chat.attributes["gen_ai.request.model"] == "list"
    tokens = {point.attributes["gen_ai.token.type"]: point.sum for point in found["gen_ai.client.token.usage"]}
    assert tokens == {"input": answer.usage.input, "output": answer.usage.output}
    assert found["quorate.run.duration"][0].attributes["quorate.run.status"] == "done"


def test_a_listener_hears_each_span_once_it_has_ended(caplog):
    heard = []
    telemetry.listen(heard.append)
    try:
        answer = runtime(CALL, "A SECRET.").ask("What?")
        assert [span.name for span in heard] == ["chat", "execute_tool", "chat", "invoke_agent"]
        run = heard[-1]
        assert [span.parent for span in heard] == [run.id, run.id, run.id, None]
        assert run.attributes["gen_ai.usage.output_tokens"] == answer.usage.output
        assert 0 <= run.seconds < 60 and run.to_dict()["name"] == "invoke_agent"

        def refuses(span):
            raise ValueError("no room")

        telemetry.listen(refuses)
        assert runtime("5 mg").ask("Which dose?").text == "5 mg"
        assert "a listener of spans has failed" in caplog.text
    finally:
        telemetry.listen(None)
    heard.clear()
    runtime("5 mg").ask("Which dose?")
    assert heard == []
    with pytest.raises(quorate.QuorateError) as refused:
        telemetry.listen("no function")
    assert refused.value.code == "invalid_argument"


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


def test_spans_and_metrics_reach_a_collector():
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    received = {}

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            import gzip

            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            received.setdefault(self.path, []).append((self.headers.get("authorization"), body))
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.end_headers()

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    tracer, meter = telemetry.otlp(
        f"http://127.0.0.1:{server.server_port}", headers={"authorization": "Bearer t"}, service_name="clinic"
    )
    try:
        runtime(CALL, "A SECRET.").ask("What?")
    finally:
        telemetry.uninstrument()
        tracer.shutdown()
        meter.shutdown()
        server.shutdown()
        server.server_close()
    (authorization, body), *_ = received["/v1/traces"]
    assert authorization == "Bearer t"
    assert b"SECRET" not in body
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    assert {one.key: one.value.string_value for one in resource.resource.attributes}["service.name"] == "clinic"
    names = [span.name for scope in resource.scope_spans for span in scope.spans]
    assert sorted(names) == ["chat list", "chat list", "execute_tool lookup", "invoke_agent"]
    (metrics,) = ExportMetricsServiceRequest.FromString(received["/v1/metrics"][0][1]).resource_metrics
    assert "quorate.run.duration" in {metric.name for scope in metrics.scope_metrics for metric in scope.metrics}


def test_opentelemetry_is_not_imported_before_it_is_asked_for():
    code = "import sys, quorate, quorate.telemetry; print('opentelemetry' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert found.stdout.strip() == "False"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_of_a_fork_hears_its_own_spans():
    code = """
import os, quorate
from quorate import telemetry
heard = []
telemetry.listen(heard.append)
quorate.Runtime(model=quorate.ScriptedModel(["a"])).ask("b?")
heard.clear()
child = os.fork()
quorate.Runtime(model=quorate.ScriptedModel(["a"])).ask("b?")
assert [span.name for span in heard] == ["chat", "invoke_agent"], heard
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", code], check=True, timeout=60)


def settled(done, seconds=5.0):
    """Waits for what quorate's own threads hand over."""
    until = time.monotonic() + seconds
    while not done() and time.monotonic() < until:
        time.sleep(0.02)
    assert done()


def votes(request):
    return '{"choice": "yes", "confidence": 0.9}'


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


def test_a_member_that_hangs_does_not_hold_the_span_of_its_panel():
    heard, gone = [], threading.Event()
    telemetry.listen(heard.append)
    try:
        hangs = quorate.Member("bob", model=quorate.ScriptedModel(lambda request: gone.wait(20) and votes(request)))
        experts = quorate.Runtime(model=quorate.ScriptedModel(votes))
        panel = experts.panel("Is it?", members=["ann", hangs], options=["yes", "no"], member_seconds=0.3, quorum=0.5)
        assert [one["reason"] for one in panel.dropped] == ["late"]
        settled(lambda: "invoke_agent" in [span.name for span in heard])
        assert next(span for span in heard if span.name == "invoke_agent").seconds < 10
    finally:
        gone.set()
        telemetry.listen(None)


def test_a_call_that_is_not_waited_for_does_not_hold_the_span_of_its_run():
    heard, gone = [], threading.Event()

    @quorate.tool(name="lookup", timeout=0.3)
    def hangs(code: str) -> str:
        """What a code means."""
        gone.wait(20)
        return "late"

    telemetry.listen(heard.append)
    try:
        assert runtime(CALL, "Nobody knows.", tools=[hangs]).ask("What?").status == "done"
        settled(lambda: [span.name for span in heard] == ["chat", "chat", "invoke_agent"])
        assert heard[-1].seconds < 10
        gone.set()
        settled(lambda: len(heard) == 4)
        assert (heard[-1].name, heard[-1].parent) == ("execute_tool", heard[2].id)
    finally:
        gone.set()
        telemetry.listen(None)


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


def test_no_span_is_lost_among_many_threads():
    heard, interval = [], sys.getswitchinterval()
    telemetry.listen(heard.append)
    sys.setswitchinterval(1e-5)

    def ask():
        experts = quorate.Runtime(model=quorate.ScriptedModel(lambda request: "5 mg"))
        for _ in range(50):
            experts.ask("Which dose?")

    try:
        threads = [threading.Thread(target=ask) for _ in range(24)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        sys.setswitchinterval(interval)
        settled(lambda: len(heard) == 2400)
        runs = {span.id for span in heard if span.name == "invoke_agent"}
        assert len(runs) == 1200 and {span.parent for span in heard if span.name == "chat"} == runs
    finally:
        sys.setswitchinterval(interval)
        telemetry.listen(None)


def test_no_span_of_a_call_that_takes_long_is_lost():
    """One call with more spans than wait."""
    heard = []
    telemetry.listen(heard.append)
    try:
        experts = quorate.Runtime(model=quorate.ScriptedModel(lambda request: "5 mg"))
        task = {"id": "dose", "question": "Which dose?", "expect": {"exact": "5 mg"}}
        quorate.evaluate_agents(experts, [task], repeat=10_000)
        settled(lambda: len(heard) == 20_000)
    finally:
        telemetry.listen(None)


class Breaks(TracerProvider):
    """A provider whose tracers, or processors, fail."""

    def get_tracer(self, *args, **kwargs):
        class Tracer:
            def start_span(self, *args, **kwargs):
                raise RuntimeError("there is no room for spans")

        return Tracer()


def test_a_tracer_that_fails_takes_no_answer(caplog):
    telemetry.instrument(tracer_provider=Breaks())
    heard = []
    telemetry.listen(heard.append)
    try:
        assert runtime("5 mg").ask("Which dose?").text == "5 mg"
        assert "the tracer or the meter has failed" in caplog.text
        assert [span.name for span in heard] == ["chat", "invoke_agent"]
    finally:
        telemetry.listen(None)
        telemetry.uninstrument()


class Meters:
    """A meter that tells a function, which may fail."""

    def __init__(self, record):
        self._record = record

    def get_meter(self, *args, **kwargs):
        return self

    def create_histogram(self, name, *args, **kwargs):
        outer = self

        class Histogram:
            def record(self, value, about):
                outer._record(name)

        return Histogram()


def test_a_meter_that_fails_takes_no_span_and_a_tracer_that_fails_no_metric(otel, caplog):
    provider, exporter, _ = otel

    def fails(name):
        raise RuntimeError("there is no room for metrics")

    telemetry.instrument(tracer_provider=provider, meter_provider=Meters(fails))
    runtime(CALL, "A catheter.").ask("What?")
    assert tree(exporter.get_finished_spans()) == [("", "invoke_agent"), *WITHIN[1:]]
    assert "the tracer or the meter has failed" in caplog.text
    names = []
    telemetry.instrument(tracer_provider=Breaks(), meter_provider=Meters(names.append))
    runtime(CALL, "A catheter.").ask("What?")
    assert sum(name.endswith(".duration") for name in names) == 4


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


def test_what_waits_is_told_before_nobody_listens():
    heard = []
    telemetry.listen(heard.append)

    @quorate.tool(name="lookup")
    def stops(code: str) -> str:
        """What a code means."""
        telemetry.listen(None)
        return "SECRET"

    try:
        runtime(CALL, "A catheter.", tools=[stops]).ask("What?")
    finally:
        telemetry.listen(None)
    assert [span.name for span in heard] == ["chat"]


def test_a_tracer_that_asks_itself_does_not_wait_for_itself():
    from opentelemetry.sdk.trace import SpanProcessor

    asked = []

    class Asks(SpanProcessor):
        def on_end(self, span):
            if len(asked) < 3:
                asked.append(runtime("5 mg").ask("Which dose?").text)
                telemetry.listen(None)

    provider = TracerProvider()
    provider.add_span_processor(Asks())
    telemetry.instrument(tracer_provider=provider)
    try:
        thread = threading.Thread(target=lambda: runtime("5 mg").ask("Which dose?"), daemon=True)
        thread.start()
        thread.join(20)
        assert not thread.is_alive() and asked == ["5 mg"] * 3
    finally:
        telemetry.uninstrument()


def test_a_run_that_fails_without_a_reason_is_an_error(otel):
    _, exporter, _ = otel

    def fails(request):
        raise RuntimeError("SECRET")

    experts = quorate.Runtime(model=quorate.ScriptedModel(fails))
    panel = experts.panel("Is it?", members=["ann"], options=["yes", "no"])
    assert panel.status == "no_consensus"
    chat = next(span for span in exporter.get_finished_spans() if span.name.startswith("chat"))
    assert chat.status.status_code is StatusCode.ERROR and "SECRET" not in chat.to_json()
    run = next(span for span in exporter.get_finished_spans() if span.name == "invoke_agent")
    assert run.attributes["quorate.run.stopped_by"] == "quorum_missed"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_while_another_thread_hands_over_leaves_the_child_free():
    code = """
import os, threading, time, quorate
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from quorate import telemetry

begun, go = threading.Event(), threading.Event()

class Slow(SpanProcessor):
    def on_start(self, span, parent_context=None):
        begun.set()
        go.wait(30)

provider = TracerProvider()
provider.add_span_processor(Slow())
telemetry.instrument(tracer_provider=provider)
ask = lambda: quorate.Runtime(model=quorate.ScriptedModel(["a"])).ask("b?")
other = threading.Thread(target=ask)
other.start()
assert begun.wait(20)
child = os.fork()
go.set()
if child == 0:
    heard = []
    telemetry.uninstrument()
    telemetry.listen(heard.append)
    ask()
    os._exit(0 if [span.name for span in heard] == ["chat", "invoke_agent"] else 1)
until = time.monotonic() + 20
while time.monotonic() < until:
    done, status = os.waitpid(child, os.WNOHANG)
    if done:
        break
    time.sleep(0.05)
else:
    os.kill(child, 9)
    raise SystemExit("the child hangs")
other.join()
assert status == 0, status
"""
    subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", code], check=True, timeout=60)
