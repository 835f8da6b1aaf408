"""How do workflows run with asyncio? The same calls, awaited; the event loop never waits for them."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from types import TracebackType

from .. import _listen
from .._await import Face, running_loop, twin_of
from .._errors import InvalidInput
from ._engine import Engine
from ._flow import JournalEntry, Review, Status, WorkflowRun, WorkflowStream


class AsyncEngine(Face[Engine]):
    """The calls of :class:`Engine`, awaited."""

    load = twin_of(Engine.load)
    add = twin_of(Engine.add)
    validate = twin_of(Engine.validate)
    rendered = twin_of(Engine.rendered)
    list = twin_of(Engine.list)
    versions = twin_of(Engine.versions)
    mermaid = twin_of(Engine.mermaid)
    start = twin_of(Engine.start, "write")
    generate = twin_of(Engine.generate)
    run = twin_of(Engine.run)
    runs = twin_of(Engine.runs)
    schedule = twin_of(Engine.schedule, "write")
    schedules = twin_of(Engine.schedules)
    scheduled = twin_of(Engine.scheduled)
    reviews = twin_of(Engine.reviews)
    review = twin_of(Engine.review)
    step_type = twin_of(Engine.step_type)
    work = twin_of(Engine.work)
    drain = twin_of(Engine.drain, "ask")
    close = twin_of(Engine.close, "ask")
    faults = twin_of(Engine.faults)

    async def __aenter__(self) -> AsyncEngine:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


def _status(run: WorkflowRun) -> Status:
    """How far it is now."""
    return run.status


class AsyncWorkflowRun(Face[WorkflowRun]):
    """The calls of :class:`WorkflowRun`, awaited."""

    status = twin_of(_status)
    wait = twin_of(WorkflowRun.wait, "ask")
    result = twin_of(WorkflowRun.result)
    ending = twin_of(WorkflowRun.ending)
    definition = twin_of(WorkflowRun.definition)
    pause = twin_of(WorkflowRun.pause, "ask")
    resume = twin_of(WorkflowRun.resume, "ask")
    cancel = twin_of(WorkflowRun.cancel, "ask")
    retry = twin_of(WorkflowRun.retry, "ask")
    skip = twin_of(WorkflowRun.skip, "ask")
    signal = twin_of(WorkflowRun.signal, "write")
    steps = twin_of(WorkflowRun.steps)
    journal = twin_of(WorkflowRun.journal)
    migrate = twin_of(WorkflowRun.migrate, "write")
    fork = twin_of(WorkflowRun.fork, "write")
    mermaid = twin_of(WorkflowRun.mermaid)
    export = twin_of(WorkflowRun.export)

    def stream(self, *, start: int = 1) -> AsyncWorkflowStream:
        """What happens in it, as it happens: ``async for entry in run.aio.stream()``."""
        running_loop()
        return AsyncWorkflowStream(self._of.stream(start=start))


class AsyncReview(Face[Review]):
    """The calls of :class:`Review`, awaited."""

    claim = twin_of(Review.claim, "ask")
    decide = twin_of(Review.decide, "ask")
    delegate = twin_of(Review.delegate, "ask")


class AsyncWorkflowStream:
    """What happens in a run, as it happens: an asynchronous iterator and context manager."""

    def __init__(self, of: WorkflowStream) -> None:
        self._of = of
        self._heard: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._woken = ExitStack()

    def __aiter__(self) -> AsyncWorkflowStream:
        return self

    async def __anext__(self) -> JournalEntry:
        if not self._of._events:
            try:
                await self._more()
            except asyncio.CancelledError:
                await self.aclose()
                raise
            if not self._of._events:
                await self.aclose()
                raise StopAsyncIteration
        return self._of._take()

    async def _more(self) -> None:
        """Waits until there are entries, or none will come any more."""
        loop = running_loop()
        if self._heard is None:
            self._heard = (loop, self._woken.enter_context(_listen.woken(self._of._native)))
        at, woken = self._heard
        if at is not loop:
            raise InvalidInput("invalid_argument", "the stream is read in another event loop; read it in the one that it was begun in")
        while True:
            woken.clear()
            entries = self._of._native.take()
            if entries is not None:
                self._of._events.extend(entries)
                return
            await woken.wait()

    async def aclose(self) -> None:
        """Lets go of the stream: nothing comes any more."""
        self._of.close()
        self._woken.close()
        self._heard = None

    async def __aenter__(self) -> AsyncWorkflowStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
