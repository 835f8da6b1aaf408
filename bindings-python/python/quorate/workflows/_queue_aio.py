"""How are queues, events and stories used with asyncio? The same calls, awaited; the event loop never waits for them."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal

from .._await import Face, run_on, running_loop, twin_of
from ._events import DeadEvents, Event, Events, Subscription
from ._jobs import Stories
from ._queue import Dead, Message, Queue, Retries, Span, Work, Workers


class AsyncWorkers(Face[Workers]):
    """The calls of :class:`Workers`, awaited; ``async with`` drains them."""

    drain = twin_of(Workers.drain, "ask")
    stop = twin_of(Workers.stop, "ask")
    wait = twin_of(Workers.wait, "ask")

    async def __aenter__(self) -> Workers:
        return self._of

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await run_on("ask", self._of.drain, (), {})


class AsyncDead(Face[Dead]):
    """The calls of :class:`Dead`, awaited."""

    list = twin_of(Dead.list)
    replay = twin_of(Dead.replay, "write")
    discard = twin_of(Dead.discard, "write")


class AsyncQueue(Face[Queue]):
    """The calls of :class:`Queue`, awaited."""

    options = twin_of(Queue.options)
    put = twin_of(Queue.put, "write")
    take = twin_of(Queue.take, "write")
    ack = twin_of(Queue.ack, "write")
    nack = twin_of(Queue.nack, "write")
    reject = twin_of(Queue.reject, "write")
    renew = twin_of(Queue.renew, "write")

    async def work(
        self, handler: Callable[[Message], Any], *, retry: Retries | None = None, threads: int = 1, poll: Span = 0.05
    ) -> Workers:
        """As :meth:`Queue.work`. A coroutine function runs on the loop that runs here, whose end is the end of the workers."""
        given = (handler, Work(retry, threads, poll), running_loop())
        return await run_on("read", self._of._work, given, {})

    stats = twin_of(Queue.stats)
    delete = twin_of(Queue.delete, "write")


class AsyncDeadEvents(Face[DeadEvents]):
    """The calls of :class:`DeadEvents`, awaited."""

    list = twin_of(DeadEvents.list)
    replay = twin_of(DeadEvents.replay, "write")
    discard = twin_of(DeadEvents.discard, "write")


class AsyncSubscription(Face[Subscription]):
    """The calls of :class:`Subscription`, awaited; ``async with`` drains its workers."""

    take = twin_of(Subscription.take, "write")
    ack = twin_of(Subscription.ack, "write")
    nack = twin_of(Subscription.nack, "write")
    renew = twin_of(Subscription.renew, "write")

    async def work(
        self, handler: Callable[[Event], Any], *, retry: Retries | None = None, threads: int = 1, poll: Span = 0.05
    ) -> Workers:
        """As :meth:`Subscription.work`; see :meth:`AsyncQueue.work`."""
        given = (handler, Work(retry, threads, poll), running_loop())
        return await run_on("read", self._of._work, given, {})

    stats = twin_of(Subscription.stats)
    delete = twin_of(Subscription.delete, "write")
    drain = twin_of(Subscription.drain, "ask")
    stop = twin_of(Subscription.stop, "ask")

    async def __aenter__(self) -> Subscription:
        return self._of

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await run_on("ask", self._of.drain, (), {})


class AsyncEvents(Face[Events]):
    """The calls of :class:`Events`, awaited."""

    publish = twin_of(Events.publish, "write")

    async def subscribe(
        self,
        pattern: str,
        handler: Callable[[Event], Any] | None = None,
        *,
        group: str = "default",
        from_: Literal["last", "first"] | int = "last",
        concurrency: int | None = None,
        rate: str | None = None,
        lease: Span = 30.0,
        retry: Retries | None = None,
        threads: int = 1,
        poll: Span = 0.05,
    ) -> Subscription:
        """As :meth:`Events.subscribe`; see :meth:`AsyncQueue.work`."""
        given = {"group": group, "from_": from_, "concurrency": concurrency, "rate": rate, "lease": lease, "retry": retry}
        return await run_on("write", self._of._subscribe, (pattern, handler, given, Work(None, threads, poll), running_loop()), {})

    subscriptions = twin_of(Events.subscriptions)
    replay = twin_of(Events.replay, "write")
    prune = twin_of(Events.prune, "write")
    last = twin_of(Events.last)


class AsyncStories(Face[Stories]):
    """The calls of :class:`Stories`, awaited."""

    add = twin_of(Stories.add, "write")
    get = twin_of(Stories.get)
    list = twin_of(Stories.list)
    outcome = twin_of(Stories.outcome, "write")
    abandon = twin_of(Stories.abandon, "write")
    remove = twin_of(Stories.remove, "write")
