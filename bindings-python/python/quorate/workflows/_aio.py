"""How is a graph run with asyncio?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from .._asking import AsyncModelStream
from .._await import Face, run_on, running_loop, twin_of
from .._record import Record
from .._store import Durability
from ._app import App, GraphStream, Mode, Outcome, _how
from ._forms import members_of


class AsyncGraphStream(AsyncModelStream):
    """What happens in a run, as it happens: an asynchronous iterator and context manager. See :class:`GraphStream`."""

    _of: GraphStream

    def __init__(self, of: GraphStream) -> None:
        super().__init__(of)

    def __aiter__(self) -> AsyncGraphStream:
        return self

    async def __anext__(self) -> Record:  # type: ignore[override]
        while True:
            if not self._of._events:
                try:
                    await self._more()
                except asyncio.CancelledError:
                    await self.aclose()
                    raise
                if not self._of._events:
                    await self.aclose()
                    raise StopAsyncIteration
            event = self._of._next()
            if event is not None:
                return event

    async def __aenter__(self) -> AsyncGraphStream:
        return self

    async def result(self) -> Outcome:  # type: ignore[override]
        """Reads what is left, and gives what came of the run. Codes: those of :meth:`App.run`."""
        async for _ in self:
            pass
        return self._of.result()


class AsyncApp(Face[App]):
    """The calls of :class:`App`, awaited. When the task is cancelled the run stops; it can be resumed."""

    async def run(
        self,
        input: Any = None,
        *,
        thread: str | None = None,
        step_limit: int = 100,
        parallel: int = 64,
        durability: Durability | None = None,
        keep: int | None = None,
    ) -> Outcome:
        """As :meth:`App.run`."""
        given = (input, thread, step_limit, parallel, durability, keep, running_loop())
        return await run_on("ask", self._of._run, given, {}, calls_back=True)

    async def resume(
        self,
        thread: str,
        answers: Mapping[str, Any] | None = None,
        *,
        step_limit: int = 100,
        parallel: int = 64,
        durability: Durability | None = None,
        keep: int | None = None,
    ) -> Outcome:
        """As :meth:`App.resume`."""
        given = (thread, answers, step_limit, parallel, durability, keep, running_loop())
        return await run_on("ask", self._of._resume, given, {}, calls_back=True)

    def stream(
        self,
        input: Any = None,
        *,
        thread: str,
        modes: Mode | Iterable[Mode] = ("updates",),
        step_limit: int = 100,
        parallel: int = 64,
        durability: Durability | None = None,
        keep: int | None = None,
    ) -> AsyncGraphStream:
        """As :meth:`App.stream`: ``async for event in app.aio.stream({...}, thread="t1")``."""
        how = _how(step_limit, parallel, durability, keep)
        return AsyncGraphStream(self._of._stream(members_of(input, "the input"), None, thread, modes, how, running_loop()))

    def stream_resume(
        self,
        thread: str,
        answers: Mapping[str, Any] | None = None,
        *,
        modes: Mode | Iterable[Mode] = ("updates",),
        step_limit: int = 100,
        parallel: int = 64,
        durability: Durability | None = None,
        keep: int | None = None,
    ) -> AsyncGraphStream:
        """As :meth:`App.stream_resume`."""
        how = _how(step_limit, parallel, durability, keep)
        return AsyncGraphStream(self._of._stream(None, answers, thread, modes, how, running_loop()))

    state = twin_of(App.state)
    history = twin_of(App.history)
    update = twin_of(App.update, "write")
    fork = twin_of(App.fork, "write")
    cancel = twin_of(App.cancel, "write")
