"""How do requests and runs show in traces? By OpenTelemetry, where it is installed and asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from quorate import telemetry
from starlette.types import Scope


class Traces:
    """Spans of requests, with those of runs within. Without a provider there are none."""

    def __init__(self, endpoint: str | None, provider: Any = None) -> None:
        self._own: list[Any] = []
        if provider is None and endpoint is not None:
            provider, meter = telemetry.otlp(endpoint, service_name="quorate-host")
            self._own = [provider, meter]
        self._tracer = None if provider is None else provider.get_tracer("quorate_host")
        if provider is not None:
            telemetry.instrument(tracer_provider=provider)

    @contextmanager
    def request(self, scope: Scope) -> Iterator[Any]:
        """A span for a request, within the caller's (W3C ``traceparent``); None without a tracer."""
        if self._tracer is None:
            yield None
            return
        from opentelemetry import propagate, trace

        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"] if name in (b"traceparent", b"tracestate")}
        with self._tracer.start_as_current_span(scope["method"], propagate.extract(carrier), trace.SpanKind.SERVER) as span:
            span.set_attribute("http.request.method", scope["method"])
            yield span

    def close(self) -> None:
        """Sends what is left."""
        if self._tracer is not None:
            telemetry.uninstrument()
        for one in self._own:
            one.shutdown()
