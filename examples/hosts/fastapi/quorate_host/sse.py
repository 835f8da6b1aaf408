"""How do events reach a client, and what happens when it goes away?"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .errors import told

if TYPE_CHECKING:
    from .host import Host

PING = ": ping\n\n"


def event(kind: str, text: str, id: str | None = None) -> str:
    """A server-sent event; ``text`` is JSON, which has no line breaks."""
    return (f"id: {id}\n" if id else "") + f"event: {kind}\ndata: {text}\n\n"


def shutdown() -> str:
    """The last event of a stream whose process ends: what it showed goes on elsewhere, or after the restart."""
    what = told(503, "closed", "the service is going down; connect again with Last-Event-ID")
    return f"retry: 2000\n{event('shutdown', json.dumps(what))}"


class EventStream(Response):
    """Server-sent events. Silence is broken by comments, so that proxies keep the connection and the end of a client is noticed.

    When the client goes away the pieces are closed at once. A client that reads slowly slows the pieces down: nothing is kept for it
    but what the connection holds.
    """

    media_type = "text/event-stream"

    def __init__(self, host: Host, pieces: AsyncIterator[str], last: str | None = None, status_code: int = 200) -> None:
        super().__init__(status_code=status_code, headers={"x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._host, self._pieces = host, pieces
        self._last = shutdown() if last is None else last

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the events."""

        async def write(text: str, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": text.encode(), "more_body": more})

        async def gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        async def pump() -> None:
            turn: asyncio.Task[str] | None = None
            closing = asyncio.create_task(self._host.flights.closing.wait())
            try:
                while True:
                    turn = turn or asyncio.create_task(anext(self._pieces))  # type: ignore[arg-type]
                    waits: set[asyncio.Task[Any]] = {turn, closing}
                    done, _ = await asyncio.wait(waits, timeout=self._host.settings.heartbeat_seconds, return_when=asyncio.FIRST_COMPLETED)
                    if turn in done:
                        try:
                            piece = turn.result()
                        except StopAsyncIteration:
                            break
                        turn = None
                        await write(piece)
                    elif closing in done:
                        await write(self._last)
                        break
                    else:
                        await write(PING)
                await write("", more=False)
            finally:
                closing.cancel()
                if turn is not None:
                    turn.cancel()
                    with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration, Exception):
                        await turn

        self._host.metrics.streams.inc()
        tasks = [asyncio.create_task(gone()), asyncio.create_task(pump())]
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[1] in done:
                tasks[1].result()
        finally:
            self._host.metrics.streams.dec()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._pieces.aclose()  # type: ignore[attr-defined]
