"""How is a blocking call awaited? It runs on a thread of quorate's own, and is cancelled with its task."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from . import _listen, _pool, _quorate
from ._errors import Cancelled, InvalidInput, Unsupported

_P = ParamSpec("_P")
_R = TypeVar("_R")
_T = TypeVar("_T")


def running_loop() -> asyncio.AbstractEventLoop:
    """The event loop of asyncio that runs here. Code: ``unsupported`` where none does, as under trio."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        how = "call it from a coroutine, or the same call without .aio; under trio, by trio.to_thread.run_sync"
        raise Unsupported("unsupported", f"no event loop of asyncio is running here: {how}") from None


async def run(function: Callable[_P, _R], /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
    """Calls any blocking function of quorate without blocking the event loop.

    ``await run(quorate.AgentRegistry, catalog=None)``, ``await run(quorate.consensus.dawid_skene, data)``. When the task is
    cancelled the work is too, as soon as it looks. A function given as ``progress`` is called on the event loop's thread, those
    given as ``rerank``, ``tokenizer`` and ``ocr`` on the worker's; all may be coroutine functions, which run on the loop.
    """
    if not callable(function):
        raise InvalidInput("invalid_argument", f"run is given a {type(function).__name__}; a function is expected")
    return await run_on("read", function, args, kwargs)


async def run_on(
    lane: str, function: Callable[..., _R], args: tuple[Any, ...], kwargs: dict[str, Any], *, calls_back: bool = False
) -> _R:
    loop = running_loop()
    future: asyncio.Future[_R] = loop.create_future()
    cancel = _quorate.Cancel()
    context = copy_context()
    for name in ("progress", "rerank", "tokenizer", "ocr"):
        given = kwargs.get(name)
        # A class is none of the host's functions.
        if callable(given) and not isinstance(given, type):
            on_loop = name == "progress" or inspect.iscoroutinefunction(given)
            kwargs = {**kwargs, name: _on_loop(loop, given, cancel) if on_loop else _here(given)}
            calls_back = True

    call = functools.partial(context.run, functools.partial(cancel.run, function, *args, **kwargs))
    _pool.submit(lane, cancel, functools.partial(_work, loop, future, call), calls_back=calls_back)
    try:
        return await future
    except asyncio.CancelledError:
        cancel.cancel()
        raise
    finally:
        # As below.
        del future


def _work(loop: asyncio.AbstractEventLoop, future: asyncio.Future[_R], call: Callable[[], _R]) -> None:
    """Calls on a worker's thread, and hands over what came of it."""
    result: Any = None
    raised: BaseException | None = None
    try:
        result = call()
    except StopIteration as error:
        # A future cannot hold it.
        raised = RuntimeError("the function raised StopIteration")
        raised.__cause__ = error
    except BaseException as error:
        raised = error
    try:
        loop.call_soon_threadsafe(_settle, future, result, raised)
    except RuntimeError:
        # The loop is closed: nobody waits.
        pass
    # The traceback of an exception refers to this frame: no cycle.
    del raised


def _settle(future: asyncio.Future[_R], result: Any, error: BaseException | None) -> None:
    # A cancelled task waits no more.
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def _here(function: Callable[..., _R]) -> Callable[..., _R]:
    """A function of the host that is called on the worker's thread, and may wait for the loop there."""

    @functools.wraps(function)
    def call(*args: Any) -> _R:
        with _pool.waiting():
            return function(*args)

    return call


def _on_loop(loop: asyncio.AbstractEventLoop, function: Callable[..., Any], cancel: _quorate.Cancel) -> Callable[..., Any]:
    """A function for the worker's thread that calls ``function`` on the loop's thread and waits for it."""

    def call(*args: Any) -> Any:
        done = threading.Event()
        outcome: list[Any] = [None, None]

        def finish(task: asyncio.Future[Any]) -> None:
            if task.cancelled():
                outcome[1] = Cancelled("cancelled", "the function was cancelled")
            else:
                outcome[:] = [None, task.exception()] if task.exception() else [task.result(), None]
            done.set()

        def here() -> None:
            try:
                found = function(*args)
                if inspect.isawaitable(found):
                    asyncio.ensure_future(found).add_done_callback(finish)
                    return
                outcome[0] = found
            except BaseException as error:
                outcome[1] = error
            done.set()

        # What the function calls must not wait for a place behind the call that waits for it.
        context = copy_context()
        context.run(_pool.inside.set, True)
        loop.call_soon_threadsafe(here, context=context)
        with _pool.waiting(), _listen.told(cancel, done.set):
            done.wait()
        if cancel.cancelled and outcome == [None, None]:
            raise Cancelled("cancelled", "the work was cancelled by its caller")
        if outcome[1] is not None:
            raise outcome[1]
        return outcome[0]

    return call


class Face(Generic[_T]):
    """The asyncio face of an object."""

    def __init__(self, of: _T) -> None:
        self._of = of

    def __repr__(self) -> str:
        return f"{self._of!r}.aio"


def twin_of(
    method: Callable[Concatenate[_T, _P], _R], lane: str = "read"
) -> Callable[Concatenate[Face[_T], _P], Coroutine[Any, Any, _R]]:
    """The method, awaited."""

    @functools.wraps(method, assigned=("__name__", "__doc__"), updated=())
    async def twin(self: Face[_T], /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        return await run_on(lane, functools.partial(method, self._of), args, kwargs)

    try:
        twin.__signature__ = inspect.signature(method)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        # Methods of the native half have none.
        pass
    return twin


