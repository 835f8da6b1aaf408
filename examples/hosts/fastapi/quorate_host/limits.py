"""How large may a request be? A body is read on the event loop, which nothing may hold for more than a moment."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import answer

BODY_BYTES = 8 << 20
"""The largest body. It takes the loop less than 50 ms, as do the most documents and votes of ``models.py``."""

TOO_LARGE = f"the body has more than {BODY_BYTES >> 20} MiB; send less at once"


class BodyLimit:
    """Refuses larger bodies with status 413: at once where the length is announced, else when they have become too large."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"")
        if announced.isdigit() and int(announced) > BODY_BYTES:
            await answer(413, "too_large", TOO_LARGE)(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > BODY_BYTES:
                raise HTTPException(413, TOO_LARGE)
            return message

        await self._app(scope, counted, send)
