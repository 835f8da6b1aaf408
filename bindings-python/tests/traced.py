"""What tests of telemetry share: a scripted run with a call, a tracer that keeps its spans, and who is within whom."""

import time

import pytest
import quorate
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
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


def settled(done, seconds=5.0):
    """Waits for what quorate's own threads hand over."""
    until = time.monotonic() + seconds
    while not done() and time.monotonic() < until:
        time.sleep(0.02)
    assert done()


def votes(request):
    return '{"choice": "yes", "confidence": 0.9}'
