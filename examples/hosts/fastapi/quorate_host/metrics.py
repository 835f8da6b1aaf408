"""What can be counted? For Prometheus; no label holds what callers choose, so that there are only so many series."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from .watch import LoopWatch

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"})


class Metrics:
    """The counters of one process."""

    def __init__(self, watch: LoopWatch) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter("quorate_host_requests", "Requests answered.", ["method", "route", "status"], registry=registry)
        self._seconds = Histogram(
            "quorate_host_request_seconds", "Until the answer was sent.", ["method", "route"], registry=registry, buckets=_SECONDS
        )
        self._runs = Counter("quorate_host_runs", "Runs that ended here.", ["kind", "status"], registry=registry)
        self._run_seconds = Histogram("quorate_host_run_seconds", "What runs took.", ["kind"], registry=registry, buckets=_SECONDS)
        self._tokens = Counter("quorate_host_tokens", "Tokens of language models.", ["direction"], registry=registry)
        self._cost = Counter("quorate_host_cost_dollars", "What runs cost, where the price is known.", registry=registry)
        self.under_way = Gauge("quorate_host_requests_under_way", "Requests being answered.", registry=registry)
        self.streams = Gauge("quorate_host_streams", "Streams that are open.", registry=registry)
        self.flights = Gauge("quorate_host_runs_under_way", "Runs that go on here.", registry=registry)
        self.tenants = Gauge("quorate_host_tenants_open", "Tenants whose handles are open.", registry=registry)
        delay = Gauge("quorate_host_loop_delay_seconds", "The longest delay of the event loop in the last minute.", registry=registry)
        delay.set_function(lambda: watch.longest(60.0))

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered; ``route`` is the template of its path."""
        method = method if method in _METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def run(self, kind: str, status: str, seconds: float, usage: dict[str, int], cost: float | None) -> None:
        """A run has ended."""
        self._runs.labels(kind, status).inc()
        self._run_seconds.labels(kind).observe(seconds)
        for direction in ("input", "output"):
            self._tokens.labels(direction).inc(usage.get(direction, 0))
        self._cost.inc(cost or 0.0)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._registry)
