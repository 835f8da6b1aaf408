"""Do runs show up in OpenTelemetry as they happened, in whichever way they were asked for, and with nothing of what was said?"""

import asyncio
import http.server
import os
import subprocess
import sys
import threading

import pytest
import quorate
from opentelemetry.trace import StatusCode
from quorate import telemetry
from traced import CALL, WITHIN, broken, otel, runtime, tree


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
