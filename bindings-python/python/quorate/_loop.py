"""On which event loop does a coroutine of the host run, and how does a thread wait for it?

On the loop of who asks, where there is one; else on one of the run's own, on a thread that is started when it is first needed and ends
with the run: a client that a tool keeps open between its calls keeps working. Nobody looks again and again: the end of the coroutine and
the cancellation of the call wake the thread that waits.
"""

from __future__ import annotations

import asyncio
import atexit
import inspect
import os
import threading
from collections.abc import Awaitable, Coroutine
from typing import Any

from . import _listen, _quorate
from ._errors import Cancelled

# How long a coroutine that was cancelled may take to end, and a loop to close, before nobody waits for it any more.
PATIENCE = 1.0

_waiting: set[_Call] = set()


class _Call:
    """A coroutine that a thread waits for."""

    def __init__(self, given: Awaitable[Any], writes: bool) -> None:
        self.writes = writes
        self._given = given
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Future[Any] | None = None
        self._carried: Coroutine[Any, Any, Any] | None = None
        self._woken = threading.Event()
        self._over = threading.Event()
        self._stopped = False
        self._result: Any = None
        self._raised: BaseException | None = None

    def send(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begins on a loop. ``RuntimeError`` where that is closed."""
        self._loop = loop
        loop.call_soon_threadsafe(self._begin)

    def lost(self) -> bool:
        """Whether its loop does not run."""
        return self._loop is None or not self._loop.is_running()

    def _begin(self) -> None:
        self._carried = carried = self._awaited()
        self._task = asyncio.ensure_future(carried)
        self._task.add_done_callback(self._end)
        if self._stopped:
            self._task.cancel()

    async def _awaited(self) -> Any:
        try:
            return await self._given
        except (KeyboardInterrupt, SystemExit) as raised:
            # They are raised where the thread waits, as of a function that is none; here they would end the loop.
            self._raised = raised
            return None

    def _end(self, task: asyncio.Future[Any]) -> None:
        if asyncio.iscoroutine(self._given):
            # What was cancelled before it began is not begun any more.
            self._given.close()
        if task.cancelled():
            self._raised = asyncio.CancelledError()
        elif self._raised is None:
            self._raised = task.exception()
            self._result = None if self._raised is not None else task.result()
        self._over.set()
        self._woken.set()

    def stop(self) -> None:
        """Cancels it, from any thread."""
        self._stopped = True
        self._woken.set()
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._cancel)
        except RuntimeError:
            # The loop is closed.
            pass

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def wait(self, cancel: _quorate.Cancel, what: str, lasting: bool = False) -> Any:
        """Waits on this thread until it has ended, or ``cancel`` is raised and it had time to end; where its end is ``lasting``, until that."""
        _waiting.add(self)
        try:
            # Whoever begins at the end of the interpreter was not seen there.
            if _quorate.ending() and (self.lost() or not self.writes):
                self.stop()
            with _listen.told(cancel, self.stop):
                while not self._woken.wait(PATIENCE):
                    if self._loop is not None and self._loop.is_closed():
                        # Nothing ends on it any more, and what has not begun never will.
                        self._stopped = True
                        for one in (self._carried, self._given):
                            if asyncio.iscoroutine(one) and inspect.getcoroutinestate(one) == inspect.CORO_CREATED:
                                one.close()
                        break
            if self._stopped:
                self._over.wait(PATIENCE)
                # One whose end matters is left only where it cannot come any more.
                while lasting and not self._over.is_set() and not self.lost() and not _quorate.ending():
                    self._over.wait(PATIENCE)
        finally:
            _waiting.discard(self)
        raised, self._raised = self._raised, None
        if not self._over.is_set() or isinstance(raised, asyncio.CancelledError):
            raise Cancelled("cancelled", f"{what} was cancelled")
        try:
            if raised is not None:
                raise raised
        finally:
            # It refers to this frame: no cycle.
            del raised
        return self._result


class Loop:
    """An event loop of its own, on a thread of its own. Both are made when they are first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def send(self, call: _Call) -> None:
        """Begins a call."""
        with self._lock:
            if self._closed:
                raise RuntimeError("the run is over")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_serve, args=(self._loop,), name="quorate-loop", daemon=True)
                self._thread.start()
            call.send(self._loop)

    def close(self, patience: float = PATIENCE) -> None:
        """Cancels what runs on it, and closes it. Nothing can begin any more."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        # What was sent before is begun before.
        loop.call_soon_threadsafe(loop.stop)
        if patience and thread is not threading.current_thread():
            thread.join(patience)

    def __del__(self) -> None:
        self.close(0)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def waited(
    given: Awaitable[Any],
    where: asyncio.AbstractEventLoop | Loop,
    cancel: _quorate.Cancel,
    what: str,
    writes: bool = False,
    lasting: bool = False,
) -> Any:
    """What an awaitable gives, on a loop that another thread runs. It is cancelled when ``cancel`` is raised; where what it comes to is
    ``lasting``, it is waited for even so. Code: ``cancelled``."""
    call = _Call(given, writes)
    try:
        where.send(call) if isinstance(where, Loop) else call.send(where)
    except RuntimeError as cause:
        if asyncio.iscoroutine(given):
            given.close()
        raise Cancelled("cancelled", f"the event loop that {what} runs on is closed") from cause
    return call.wait(cancel, what, lasting)


def waited_here(given: Awaitable[Any], cancel: _quorate.Cancel, what: str) -> Any:
    """The same in a loop on this very thread, for this call alone."""

    async def wait() -> Any:
        task = asyncio.ensure_future(given)
        try:
            with _listen.woken(cancel) as woken:
                stop = asyncio.ensure_future(woken.wait())
                await asyncio.wait([task, stop], return_when=asyncio.FIRST_COMPLETED)
                stop.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait([task], timeout=PATIENCE)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not task.done() or task.cancelled():
            raise Cancelled("cancelled", f"{what} was cancelled")
        return task.result()

    return asyncio.run(wait())


def _close() -> None:
    """At the end of the interpreter: nobody waits for a loop that does not run, and what only reads is cancelled."""
    _quorate.begin_end()
    for call in list(_waiting):
        if call.lost() or not call.writes:
            call.stop()


def _forget() -> None:
    """In the child of a fork: the threads that waited are not there."""
    _waiting.clear()


atexit.register(_close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
