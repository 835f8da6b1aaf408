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
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from . import _quorate
from ._errors import InvalidInput
from ._report import Report

if TYPE_CHECKING:
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


# A beginning or an end: number, parent, name, attributes, nanoseconds since 1970, whether it is the end.
_Mark: TypeAlias = tuple[int, int | None, str, dict[str, Any], int, bool]

_lock = threading.RLock()
# The thread that delivers.
_delivering: int | None = None
_listener: Callable[[Span], object] | None = None
_bridge: _Bridge | None = None
# Spans that have begun: when, for the listener.
_begun: dict[int, int] = {}
# As many as may be open at once; of more the oldest are forgotten.
_MOST_OPEN = 100_000


def listen(function: Callable[[Span], object] | None) -> None:
    """Calls ``function`` with each span once it has ended: after the call that it belongs to, or during it where it takes long, on a
    thread that calls quorate or on one of quorate's own. What it raises is logged. None: no more.

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
    """The caller's span, where there is one, as a W3C traceparent; called by the native half."""
    bridge = _bridge
    if bridge is None:
        return None
    try:
        return bridge.trace_parent()
    except Exception:
        _complain("the caller's span could not be read")
        return None


def _deliver() -> None:
    """Takes beginnings and ends of spans in their order; called by the native half, on any thread."""
    global _delivering
    me = threading.get_ident()
    if _delivering == me:
        # A tracer that asks: whoever delivers goes on until nothing waits.
        return
    ended: list[Span] = []
    with _lock:
        _delivering = me
        try:
            listener, bridge = _listener, _bridge
            # They are taken by who holds the lock: else the end of a span could overtake its beginning.
            while marks := _quorate.take_spans():
                for mark in marks:
                    _take(mark, bridge, ended)
        finally:
            _delivering = None
    if listener is not None:
        for span in ended:
            try:
                listener(span)
            except Exception:
                # Whoever watches must not take the answer from who has asked.
                _complain("a listener of spans has failed")


def _take(mark: _Mark, bridge: _Bridge | None, ended: list[Span]) -> None:
    number, parent, name, attributes, time, ends = mark
    if not ends:
        while len(_begun) >= _MOST_OPEN:
            _begun.pop(next(iter(_begun)))
        _begun[number] = time
    # Of a span that began before anybody listened nothing is told.
    begun = _begun.pop(number, None) if ends else time
    if begun is None:
        return
    try:
        if bridge is not None and ends:
            bridge.end(number, name, dict(attributes), begun, time)
        elif bridge is not None:
            bridge.begin(number, parent, name, dict(attributes), time)
    except Exception:
        _complain("the tracer or the meter has failed")
    if ends:
        attributes.pop("traceparent", None)
        ended.append(Span(name, number, parent, begun / 1e9, (time - begun) / 1e9, attributes))


def _complain(message: str) -> None:
    logging.getLogger("quorate.telemetry").exception(message)


def _forget() -> None:
    """In the child of a fork: whoever held the lock is not there, and what is open is the parent's."""
    global _lock, _delivering
    _lock = threading.RLock()
    _delivering = None
    _begun.clear()
    if _bridge is not None:
        _bridge.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


class _Bridge:
    """Spans and metrics of OpenTelemetry."""

    def __init__(self, tracer_provider: TracerProvider | None, meter_provider: MeterProvider | None) -> None:
        try:
            from opentelemetry import context, metrics, trace
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
        self._nobodys = context.Context()
        self._open: dict[int, OtelSpan] = {}

    def forget(self) -> None:
        """Spans that are open are another process's."""
        self._open.clear()

    def trace_parent(self) -> str | None:
        carrier: dict[str, str] = {}
        self._w3c.inject(carrier)
        return carrier.get("traceparent")

    def begin(self, number: int, parent: int | None, name: str, attributes: dict[str, Any], time: int) -> None:
        given = attributes.pop("traceparent", None)
        # Never that of the thread that delivers, which may be another caller's.
        context = self._nobodys
        if parent in self._open:
            context = self._trace.set_span_in_context(self._open[parent], context)
        elif given is not None:
            context = self._w3c.extract({"traceparent": given}, context)
        kind = self._trace.SpanKind.CLIENT if name == "chat" else self._trace.SpanKind.INTERNAL
        while len(self._open) >= _MOST_OPEN:
            self._open.pop(next(iter(self._open)))
        self._open[number] = self._tracer.start_span(name, context, kind, attributes, start_time=time)

    def end(self, number: int, name: str, attributes: dict[str, Any], begun: int, time: int) -> None:
        span = self._open.pop(number, None)
        attributes.pop("traceparent", None)
        if span is not None:
            self._finish(span, name, dict(attributes), time)
        self._measure(name, attributes, (time - begun) / 1e9)

    def _finish(self, span: OtelSpan, name: str, attributes: dict[str, Any], time: int) -> None:
        if name != "execute_tool":
            # The conventions' names of spans: the operation, and what it is about.
            target = attributes.get("gen_ai.request.model") or attributes.get("gen_ai.agent.name")
        else:
            target = attributes.get("gen_ai.tool.name")
        if target:
            span.update_name(f"{name} {target}")
        reasons = "gen_ai.response.finish_reasons"
        if attributes.get(reasons):
            # A list, by the conventions: one of each answer.
            attributes[reasons] = [attributes[reasons]]
        span.set_attributes(attributes)
        failed = attributes.get("error.type")
        if failed is None and attributes.get("quorate.run.status") == "failed":
            failed = attributes.get("quorate.run.stopped_by", "_OTHER")
        if failed is not None:
            span.set_attribute("error.type", failed)
            span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, str(failed)))
        span.end(time)

    def _measure(self, name: str, attributes: dict[str, Any], seconds: float) -> None:
        about = {key: attributes[key] for key in _ABOUT.get(name, ()) if key in attributes}
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


# What metrics are told apart by: nothing that has many values.
_ABOUT = {
    "chat": ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model", "error.type"),
    "invoke_agent": ("gen_ai.operation.name", "gen_ai.agent.id", "quorate.run.status"),
    "execute_tool": ("gen_ai.operation.name", "gen_ai.tool.name", "error.type"),
}
