"""Which steps are all done, or all undone?

>>> import quorate
>>> stock = {"swabs": 3}
>>> def reserve():
...     stock["swabs"] -= 1
...     return {"left": stock["swabs"]}
>>> def put_back(reserved):
...     stock["swabs"] += 1
>>> with quorate.StateStore().saga("order-7") as order:
...     order.do("reserve", reserve, undo=put_back)
{'left': 2}
>>> order.status
'done'
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar, copy_context
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from .. import _quorate
from .._await import run_on, running_loop
from .._errors import InvalidInput, QuorateError
from .._given import text
from .._tools import _result
from ._queue import Retries, retry_of

if TYPE_CHECKING:
    from .._loop import Loop
    from .._store import StateStore

SagaStatus = Literal["running", "done", "failed", "compensation_failed"]
Recover = Literal["undo", "forward"]

_within: ContextVar[tuple[int, ...]] = ContextVar("_within", default=())
"""The sagas in whose steps this code runs."""


class _Carried:
    """What a saga is for both faces."""

    def __init__(self, store: StateStore, name: Any, recover: Any, undo: Any) -> None:
        self._store = store
        self.name = text(name, "name")
        """Its name."""
        self._how = {"recover": recover, "undo": retry_of(undo, "undo")}
        self._native: _quorate.NativeSaga | None = None
        self._last: SagaStatus = "running"
        self._told = False
        """Whether somebody was told already that it could not be undone."""
        self._loop: Loop | asyncio.AbstractEventLoop | None = None

    @property
    def status(self) -> SagaStatus:
        """``running``; ``done``; ``failed``: all of it is undone; ``compensation_failed``: it could not be, and whoever opens it again tries
        again. As it was when its last call ended."""
        return self._last

    def _open(self) -> None:
        self._native = _quorate.open_saga(self._store._native, self.name, self._how)
        self._look()

    def _opened(self) -> _quorate.NativeSaga:
        if id(self) in _within.get():
            message = f"the saga {self.name!r:.60} is asked by one of its own steps, which would wait for itself"
            raise InvalidInput("invalid_argument", message)
        if self._native is None:
            message = "the saga is not open; use it in a with"
            raise _quorate.error("closed", message)
        return self._native

    def _look(self) -> None:
        if self._native is not None:
            self._last = self._native.status()  # type: ignore[assignment]

    def _do(self, name: Any, step: Any, undo: Any) -> Any:
        native = self._opened()
        for what, given in (("the step", step), ("undo", undo)):
            if not callable(given) and not (given is None and what == "undo"):
                raise InvalidInput("invalid_argument", f"{what} is of type {type(given).__name__}; a function is expected")
        text(name, "name")
        context = copy_context()

        def call(cancel: _quorate.Cancel) -> dict[str, Any]:
            return {"result": _result(self._run(step, (), cancel, f"the step {name!r:.60}", context))}

        def back(value: Any) -> None:
            if undo is not None:
                # Whoever waits no more has not undone it.
                self._run(undo, (value,) if _takes(undo) else (), _quorate.Cancel(), f"undoing {name!r:.60}", context)

        return self._through(lambda: native.step(name, call, back))

    def _through(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        finally:
            with suppress(QuorateError):
                self._look()
            self._told = self._last == "compensation_failed"

    def _run(self, function: Callable[..., Any], given: tuple[Any, ...], cancel: _quorate.Cancel, what: str, context: Any) -> Any:
        """What a function gives, called on this thread; what can be awaited is."""

        def call() -> Any:
            token = _within.set((*_within.get(), id(self)))
            try:
                found = function(*given)
                return self._waited(found, cancel, what) if inspect.isawaitable(found) else found
            finally:
                _within.reset(token)

        if isinstance(self._loop, asyncio.AbstractEventLoop):
            # On a thread of the saga's own, with the context of whoever asked.
            return context.copy().run(call)
        return call()

    def _waited(self, given: Any, cancel: _quorate.Cancel, what: str) -> Any:
        from .. import _loop

        where = self._loop = self._loop or _loop.Loop()
        try:
            return _loop.waited(given, where, cancel, what, True, lasting=True)
        except BaseException:
            cancel.cancel()
            raise

    def _ends(self, error: BaseException | None) -> None:
        """What follows from how the block ended. Codes: why all was undone, where nothing was raised; why it could not be."""
        native = self._native
        if native is None:
            return
        try:
            if error is None:
                self._through(native.finish)
            elif not self._told:
                code, message = _said(error)
                self._through(lambda: native.fail(code, message))
        finally:
            self._leave()

    def _leave(self) -> None:
        native, self._native = self._native, None
        if native is not None:
            native.close()
        from .. import _loop

        if isinstance(self._loop, _loop.Loop):
            self._loop.close()
            self._loop = None


def _said(error: BaseException) -> tuple[str, str]:
    if isinstance(error, QuorateError):
        return error.code, error.message
    code = "cancelled" if isinstance(error, (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit)) else "callback"
    try:
        said = str(error)[:300].encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    # Methods of the exception run here.
    except Exception:
        said = ""
    return code, f"{type(error).__name__}: {said}"


def _takes(function: Callable[..., Any]) -> bool:
    """Whether a function takes one argument by its place."""
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:
        # Some of the library's own say nothing.
        return True
    return True


class Saga(_Carried):
    """Steps that are all done, or all undone: ``with store.saga("order") as s: s.do("reserve", f, undo=g)``.

    What the block raises has everything undone, in reverse order. After a crash whoever opens the saga again calls its steps again: those that
    have ended give what they gave, and do not run. Made by :meth:`quorate.StateStore.saga`.
    """

    def __init__(self, store: StateStore, name: str, recover: Recover, undo: Retries | None) -> None:
        super().__init__(store, name, recover, undo)
        self._open()

    def do(self, name: str, step: Callable[[], Any], undo: Callable[..., Any] | None = None) -> Any:
        """Does a step, unless the journal has it, and gives what it gave, as JSON.

        ``step()``, sync or async, is called on this thread. ``undo(value)`` undoes it, given what it gave, and None where nobody knows whether
        it ended; it may also take nothing. It must stand it that there is nothing to undo. None: there is nothing to undo.

        Where the step raises, those before it are undone, and its exception is raised. Where one cannot be undone the status is
        ``compensation_failed``, and the message says both. Codes: ``invalid_argument`` for a name that was there, or when the saga has ended;
        ``cancelled`` where it is undone since the program ended in the middle of it; ``stale_write`` when somebody else has taken it.
        """
        return self._do(name, step, undo)

    def finish(self) -> None:
        """Says that all steps are done, as the end of the block does. Codes: why everything was undone, where it is to be."""
        native = self._opened()
        self._through(native.finish)

    def fail(self, reason: str) -> None:
        """Undoes everything, as an exception in the block does. Codes: where it could not be undone, ``cancelled``, with why."""
        native = self._opened()
        self._through(lambda: native.fail("cancelled", text(reason, "reason")))

    def close(self) -> None:
        """Lets go of it as it is: whoever opens it again goes on, or undoes it."""
        self._leave()

    def __enter__(self) -> Saga:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ends(error)

    def __repr__(self) -> str:
        return f"<saga {self.name!r:.60}, {self.status}>"


class AsyncSaga(_Carried):
    """The same with asyncio: ``async with store.aio.saga("order") as s: await s.do("reserve", f, undo=g)``.

    It is opened where the block begins. Coroutine functions run on the loop of the block, others on a thread of the saga's own. When the task is
    cancelled, everything is undone before the block is left.
    """

    async def do(self, name: str, step: Callable[[], Any], undo: Callable[..., Any] | None = None) -> Any:
        """As :meth:`Saga.do`."""
        return await run_on("ask", self._do, (name, step, undo), {}, calls_back=True)

    async def finish(self) -> None:
        """As :meth:`Saga.finish`."""
        native = self._opened()
        await run_on("ask", lambda: self._through(native.finish), (), {}, calls_back=True)

    async def fail(self, reason: str) -> None:
        """As :meth:`Saga.fail`."""
        native, why = self._opened(), text(reason, "reason")
        await run_on("ask", lambda: self._through(lambda: native.fail("cancelled", why)), (), {}, calls_back=True)

    async def __aenter__(self) -> AsyncSaga:
        self._loop = running_loop()
        await run_on("write", self._open, (), {})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Also where the task is cancelled once more: what is undone is undone first.
        ends = asyncio.ensure_future(run_on("ask", self._ends, (error,), {}, calls_back=True))
        try:
            await asyncio.shield(ends)
        except asyncio.CancelledError:
            while not ends.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([ends])
            if not ends.cancelled():
                ends.exception()
            raise

    def __repr__(self) -> str:
        return f"<saga {self.name!r:.60}, {self.status}>"
