"""What happens around every request? An id, a span, a line in the log, numbers, and no traceback for anybody."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .context import correlation, request_id
from .errors import for_openai, openai_error, problem

if TYPE_CHECKING:
    from .host import Host

_log = logging.getLogger("quorate_host.access")
_FAULT = "the service could not do this; the id of the request tells its operator why"
_SAFE = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
]


class Around:
    """The outermost layer of the service's own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        host: Host = scope["app"].state.host
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), None)
        id = correlation(None if given is None else given.decode("latin-1"))
        token = request_id.set(id)
        state: dict[str, Any] = scope.setdefault("state", {})
        began, status = time.perf_counter(), 0

        async def answered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                have = {name for name, _ in message["headers"]}
                more = [(name.encode(), value.encode()) for name, value in state.get("headers", {}).items()]
                wanted = [(b"x-request-id", id.encode()), *_SAFE, *more]
                message["headers"] = [*message["headers"], *(one for one in wanted if one[0] not in have)]
            await send(message)

        host.metrics.under_way.inc()
        try:
            with host.traces.request(scope) as span:
                try:
                    await self._app(scope, receive, answered)
                except Exception:
                    _log.exception("failed")
                    if status == 0:
                        form = openai_error if for_openai(scope["path"]) else problem
                        await form(500, "internal", _FAULT)(scope, receive, answered)
                finally:
                    route = getattr(scope.get("route"), "path", "unknown")
                    if span is not None:
                        span.update_name(f"{scope['method']} {route}")
                        span.set_attribute("http.route", route)
                        span.set_attribute("http.response.status_code", status)
        finally:
            host.metrics.under_way.dec()
            seconds = time.perf_counter() - began
            host.metrics.request(scope["method"], route, status, seconds)
            who: dict[str, Any] = {name: state[name] for name in ("tenant", "user") if name in state}
            who.update(method=scope["method"], route=route, status=status, ms=round(1000 * seconds, 1))
            _log.info("request", extra=who)
            request_id.reset(token)
