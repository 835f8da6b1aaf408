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


# A beginning or an end of a span, as the native half tells it.
_Mark: TypeAlias = dict[str, Any]

_lock = threading.RLock()
# The thread that delivers.
_delivering: int | None = None
_listener: Callable[[Span], object] | None = None
_bridge: _Bridge | None = None
# As many spans as may be open at once; of more the oldest are forgotten.
_MOST_OPEN = 100_000
# How spans that are open began: a tracer that takes over makes those in which others lie.
_beginnings: dict[int, _Mark] = {}


def listen(function: Callable[[Span], object] | None) -> None:
    """Calls ``function`` with each span once it has ended: after the call that it belongs to, or during it where it takes long, on a
    thread that calls quorate or on one of quorate's own. What it raises is logged. None: no more.

    Code: ``invalid_argument``.
    """
    global _listener
    if function is not None and not callable(function):
        raise InvalidInput("invalid_argument", f"listen is given a {type(function).__name__}; a function is expected")
    _deliver()
    with _lock:
        _listener = function
        _settle()


def instrument(*, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None) -> None:
    """Makes spans and metrics of runs those of OpenTelemetry; None: of its global providers. A run's span lies in the caller's.

    Metrics: ``gen_ai.client.operation.duration`` (seconds) and ``gen_ai.client.token.usage`` (tokens) of requests to models;
    ``quorate.run.duration`` (seconds) of runs by status, ``quorate.tool.duration`` (seconds) of calls of tools.
    Called again, it is for what begins from then on; spans that are open end where they began.
    Needs the package ``opentelemetry-api``. Raises ``ImportError`` without it.
    """
    global _bridge
    bridge = _Bridge(tracer_provider, meter_provider)
    # What has ended is another tracer's.
    _deliver()
    with _lock:
        if _bridge is not None:
            bridge.go_on(_bridge)
        _bridge = bridge
        _settle()


def uninstrument() -> None:
    """Ends what :func:`instrument` began; spans that are open then are not ended."""
    global _bridge
    _deliver()
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
        _beginnings.clear()


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
    if not mark["ends"]:
        _remember(_beginnings, mark["span"], mark)
    try:
        if bridge is not None and mark["ends"]:
            bridge.end(mark)
        elif bridge is not None:
            bridge.begin(mark)
    except Exception:
        _complain("the tracer or the meter has failed")
    if mark["ends"]:
        _beginnings.pop(mark["span"], None)
        ended.append(Span(mark["name"], mark["span"], mark["parent"], mark["begun"] / 1e9, mark["seconds"], mark["attributes"]))


def _remember(open_ones: dict[int, Any], span: int, what: object) -> None:
    """Keeps what belongs to an open span."""
    while len(open_ones) >= _MOST_OPEN:
        open_ones.pop(next(iter(open_ones)))
    open_ones[span] = what


def _complain(message: str) -> None:
    logging.getLogger("quorate.telemetry").exception(message)


def _forget() -> None:
    """In the child of a fork: whoever held the lock is not there, and what is open is the parent's."""
    global _lock, _delivering
    _lock = threading.RLock()
    _delivering = None
    _beginnings.clear()
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
        schema, metered = _quorate.span_metrics()
        self._tracer = trace.get_tracer("quorate", version, tracer_provider, schema)
        meter = metrics.get_meter("quorate", version, meter_provider, schema)
        self._metrics = {
            one["name"]: meter.create_histogram(
                one["name"], one["unit"], one["description"], explicit_bucket_boundaries_advisory=one["bounds"]
            )
            for one in metered
        }
        self._nobodys = context.Context()
        self._open: dict[int, OtelSpan] = {}

    def forget(self) -> None:
        """Spans that are open are another process's."""
        self._open.clear()

    def trace_parent(self) -> str | None:
        carrier: dict[str, str] = {}
        self._w3c.inject(carrier)
        return carrier.get("traceparent")

    def go_on(self, before: _Bridge) -> None:
        """Spans that are open end with the tracer that made them."""
        self._open = before._open

    def _span(self, number: int | None) -> OtelSpan | None:
        """An open span; made now where it began before there was this bridge."""
        if number is None:
            return None
        known = self._open.get(number)
        begun = _beginnings.get(number) if known is None else None
        return known if begun is None else self.begin(begun)

    def begin(self, mark: _Mark) -> OtelSpan:
        # Never that of the thread that delivers, which may be another caller's.
        context, parent = self._nobodys, self._span(mark["parent"])
        if parent is not None:
            context = self._trace.set_span_in_context(parent, context)
        elif mark["traceparent"] is not None:
            context = self._w3c.extract({"traceparent": mark["traceparent"]}, context)
        kind = self._trace.SpanKind.CLIENT if mark["kind"] == "client" else self._trace.SpanKind.INTERNAL
        span = self._tracer.start_span(mark["title"], context, kind, dict(mark["attributes"]), start_time=mark["begun"])
        _remember(self._open, mark["span"], span)
        return span

    def end(self, mark: _Mark) -> None:
        try:
            self._end_span(mark)
        finally:
            # A tracer that fails takes no metric, and a meter that fails no span.
            for metric, value, about in mark["measures"]:
                self._metrics[metric].record(value, about)

    def _end_span(self, mark: _Mark) -> None:
        span = self._open.pop(mark["span"], None)
        if span is None:
            # It has begun before there was this bridge.
            span = self.begin(mark)
            self._open.pop(mark["span"], None)
        span.update_name(mark["title"])
        span.set_attributes(mark["attributes"])
        if mark["error"] is not None:
            span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, mark["error"]))
        span.end(mark["time"])
