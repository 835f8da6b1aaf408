"""How do runs show up in OpenTelemetry, or in a monitor of one's own?

Nothing is measured before somebody asks for it, and nothing is sent anywhere by quorate itself. Spans and metrics have the names of
OpenTelemetry's semantic conventions for generative AI, version 1.37.0: a span ``invoke_agent`` for a run, within it ``chat`` for each
request to a model and ``execute_tool`` for each call of a tool. What was asked and answered is in none of them.

>>> from quorate import Runtime, ScriptedModel, telemetry
>>> spans = []
>>> telemetry.listen(spans.append)
>>> answer = Runtime(model=ScriptedModel(["5 mg daily."])).ask("Which dose?")
>>> [span.name for span in spans]
['chat', 'invoke_agent']
>>> spans[1].attributes["quorate.run.status"]
'done'
>>> telemetry.listen(None)
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import _quorate
from ._errors import InvalidInput
from ._report import Report

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span as OtelSpan
    from opentelemetry.trace import TracerProvider

__all__ = ["Span", "instrument", "listen", "otlp", "uninstrument"]

SEMANTIC_CONVENTIONS = "https://opentelemetry.io/schemas/1.37.0"

# The boundaries that the conventions advise for the two metrics, in tokens and in seconds.
_TOKENS = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864]
_SECONDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]


@dataclass(frozen=True, repr=False)
class Span(Report):
    """A stretch of work that has ended."""

    name: str
    """``invoke_agent``, ``chat`` or ``execute_tool``."""
    id: int
    """Its number in this process."""
    parent: int | None
    """The number of the span that it lies in."""
    begun: float
    """When it began, in seconds since 1970."""
    seconds: float
    """How long it took."""
    attributes: dict[str, Any]
    """What is known of it, by OpenTelemetry's names and ``quorate.*``."""


_lock = threading.Lock()
_listener: Callable[[Span], object] | None = None
_bridge: _Bridge | None = None
# Spans that have begun: when, for the listener.
_begun: dict[int, int] = {}
# As many as may be open at once; of more the oldest are forgotten.
_MOST_OPEN = 100_000


def listen(function: Callable[[Span], object] | None) -> None:
    """Calls ``function`` with each span once it has ended: after the call that it belongs to, on that call's thread. None: no more.

    Code: ``invalid_argument``.
    """
    global _listener
    if function is not None and not callable(function):
        raise InvalidInput("invalid_argument", f"listen is given a {type(function).__name__}; a function is expected")
    with _lock:
        _listener = function
        _settle()


def instrument(*, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None) -> None:
    """Makes spans and metrics of runs those of OpenTelemetry; None: of its global providers. A run's span lies in the caller's.

    Metrics: ``gen_ai.client.operation.duration`` (seconds) and ``gen_ai.client.token.usage`` (tokens) of requests to models;
    ``quorate.run.duration`` (seconds) of runs by status, ``quorate.tool.duration`` (seconds) of calls of tools.
    Needs the package ``opentelemetry-api``. Raises ``ImportError`` without it.
    """
    global _bridge
    bridge = _Bridge(tracer_provider, meter_provider)
    with _lock:
        _bridge = bridge
        _settle()


def uninstrument() -> None:
    """Ends what :func:`instrument` began; spans that are open then are not ended."""
    global _bridge
    with _lock:
        _bridge = None
        _settle()


def otlp(
    endpoint: str | None = None, *, headers: Mapping[str, str] | None = None, service_name: str = "quorate"
) -> tuple[TracerProvider, MeterProvider]:
    """Sends spans and metrics to an OpenTelemetry collector over OTLP and HTTP, and instruments. The providers, whose ``shutdown()`` sends the rest.

    ``endpoint``: the collector's address, such as ``http://127.0.0.1:4318``; None: as the environment says
    (``OTEL_EXPORTER_OTLP_ENDPOINT``). Needs ``pip install quorate[otlp]``. Raises ``ImportError`` without it.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise _missing("otlp", "quorate[otlp]") from error
    base = None if endpoint is None else endpoint.rstrip("/")
    given = None if headers is None else dict(headers)
    resource = Resource.create({"service.name": service_name})
    tracer = TracerProvider(resource=resource)
    spans = OTLPSpanExporter(endpoint=None if base is None else f"{base}/v1/traces", headers=given)
    tracer.add_span_processor(BatchSpanProcessor(spans))
    metrics = OTLPMetricExporter(endpoint=None if base is None else f"{base}/v1/metrics", headers=given)
    meter = MeterProvider(resource=resource, metric_readers=[PeriodicExportingMetricReader(metrics)])
    instrument(tracer_provider=tracer, meter_provider=meter)
    return tracer, meter


def _missing(what: str, package: str) -> ImportError:
    return ImportError(f"telemetry.{what} needs more packages: pip install {package}")


def _settle() -> None:
    """Has spans noted while somebody wants them. The lock is held."""
    wanted = _listener is not None or _bridge is not None
    _quorate.listen_to_spans(wanted)
    if not wanted:
        _begun.clear()


def _trace_parent() -> str | None:
    """The caller's span, where there is one, as a W3C traceparent."""
    bridge = _bridge
    return None if bridge is None else bridge.trace_parent()


def _deliver(marks: list[tuple[int, int | None, str, dict[str, Any], int, bool]]) -> None:
    """Takes beginnings and ends of spans in their order; called by the native half."""
    with _lock:
        listener, bridge = _listener, _bridge
        ended = []
        for number, parent, name, attributes, time, ends in marks:
            if not ends:
                while len(_begun) >= _MOST_OPEN:
                    _begun.pop(next(iter(_begun)))
                _begun[number] = time
                if bridge is not None:
                    bridge.begin(number, parent, name, dict(attributes), time)
                continue
            # Of a span that began before anybody listened nothing is told.
            begun = _begun.pop(number, None)
            if begun is None:
                continue
            attributes.pop("traceparent", None)
            if bridge is not None:
                bridge.end(number, name, attributes, begun, time)
            ended.append(Span(name, number, parent, begun / 1e9, (time - begun) / 1e9, attributes))
    if listener is not None:
        for span in ended:
            try:
                listener(span)
            except Exception:
                # Whoever watches must not take the answer from who has asked.
                logging.getLogger("quorate.telemetry").exception("a listener of spans has failed")


class _Bridge:
    """Spans and metrics of OpenTelemetry."""

    def __init__(self, tracer_provider: TracerProvider | None, meter_provider: MeterProvider | None) -> None:
        try:
            from opentelemetry import metrics, trace
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ImportError as error:
            raise _missing("instrument", "opentelemetry-api") from error
        self._trace = trace
        self._w3c = TraceContextTextMapPropagator()
        version = _quorate.__version__
        self._tracer = trace.get_tracer("quorate", version, tracer_provider, SEMANTIC_CONVENTIONS)
        meter = metrics.get_meter("quorate", version, meter_provider, SEMANTIC_CONVENTIONS)
        histogram = meter.create_histogram
        self._duration = histogram(
            "gen_ai.client.operation.duration",
            "s",
            "How long a request to a model took",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._tokens = histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Tokens that a request read and wrote",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self._runs = histogram("quorate.run.duration", "s", "How long a run took", explicit_bucket_boundaries_advisory=_SECONDS)
        self._tools = histogram("quorate.tool.duration", "s", "How long a call of a tool took", explicit_bucket_boundaries_advisory=_SECONDS)
        self._open: dict[int, OtelSpan] = {}

    def trace_parent(self) -> str | None:
        carrier: dict[str, str] = {}
        self._w3c.inject(carrier)
        return carrier.get("traceparent")

    def begin(self, number: int, parent: int | None, name: str, attributes: dict[str, Any], time: int) -> None:
        given = attributes.pop("traceparent", None)
        context: Context | None = None
        if parent in self._open:
            context = self._trace.set_span_in_context(self._open[parent])
        elif given is not None:
            context = self._w3c.extract({"traceparent": given})
        kind = self._trace.SpanKind.CLIENT if name == "chat" else self._trace.SpanKind.INTERNAL
        while len(self._open) >= _MOST_OPEN:
            self._open.pop(next(iter(self._open)))
        self._open[number] = self._tracer.start_span(name, context, kind, attributes, start_time=time)

    def end(self, number: int, name: str, attributes: dict[str, Any], begun: int, time: int) -> None:
        seconds = (time - begun) / 1e9
        about = {key: attributes[key] for key in _ABOUT[name] if key in attributes}
        if name == "chat":
            self._duration.record(seconds, about)
            for kind in ("input", "output"):
                used = attributes.get(f"gen_ai.usage.{kind}_tokens")
                if used is not None:
                    self._tokens.record(used, {**about, "gen_ai.token.type": kind})
        elif name == "invoke_agent":
            self._runs.record(seconds, about)
        elif name == "execute_tool":
            self._tools.record(seconds, about)
        span = self._open.pop(number, None)
        if span is None:
            return
        if name != "execute_tool":
            # The conventions' names of spans: the operation, and what it is about.
            target = attributes.get("gen_ai.request.model") or attributes.get("gen_ai.agent.name")
        else:
            target = attributes.get("gen_ai.tool.name")
        if target:
            span.update_name(f"{name} {target}")
        span.set_attributes(attributes)
        failed = attributes.get("error.type") or (attributes.get("quorate.run.stopped_by") if attributes.get("quorate.run.status") == "failed" else None)
        if failed is not None:
            span.set_attribute("error.type", failed)
            span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, str(failed)))
        span.end(time)


# What metrics are told apart by: nothing that has many values.
_ABOUT = {
    "chat": ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model", "error.type"),
    "invoke_agent": ("gen_ai.operation.name", "gen_ai.agent.id", "quorate.run.status"),
    "execute_tool": ("gen_ai.operation.name", "gen_ai.tool.name", "error.type"),
}
