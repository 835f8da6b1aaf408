"""How large may a request be? A body is read on the event loop, which nothing may hold for more than a moment."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import for_openai, openai_error, problem


class BodyLimit:
    """Refuses larger bodies with status 413: at once where the length is announced, else when they have become too large."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app, self._limit = app, limit
        self._message = f"the body has more than {limit:,} bytes; send less at once"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"")
        if announced.isdigit() and (len(announced) > 18 or int(announced) > self._limit):
            form = openai_error if for_openai(scope["path"]) else problem
            await form(413, "too_large", self._message)(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit:
                raise HTTPException(413, self._message)
            return message

        await self._app(scope, counted, send)
