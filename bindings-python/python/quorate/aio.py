"""How is quorate used with asyncio? The same calls, awaited; the event loop never waits for them.

Work runs on threads of its own, without the interpreter's lock. Cancelling a task cancels its work: a write that was not
yet stored is dropped whole. Everything works in the running loop of a notebook.

>>> import asyncio, tempfile
>>> async def main(folder):
...     async with open(folder) as kb:
...         await kb.aio.add([{"id": "a", "text": "Metformin lowers glucose."}])
...         return [hit.doc_id for hit in await kb.aio.search("blood sugar")]
>>> with tempfile.TemporaryDirectory() as folder:
...     asyncio.run(main(folder))
['a']
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack
from contextvars import copy_context
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar

from . import _kb, _listen, _pool, _quorate
from ._agents import AgentRegistry
from ._answer import Answer, RunEvent
from ._errors import Cancelled, InvalidInput
from ._hits import Hits
from ._kb import KnowledgeBase
from ._mcp import McpTools
from ._models import Model, ModelEvent, ModelStream, Reply, Tool
from ._runtime import Approve, Budget, Runtime, RunStream, Tools
from ._talk import Conversation

if TYPE_CHECKING:
    from ._record import Record

__all__ = [
    "AsyncAgentRegistry",
    "AsyncCrossEncoder",
    "AsyncEmbedder",
    "AsyncKnowledgeBase",
    "AsyncMcpTools",
    "AsyncModel",
    "AsyncModelStream",
    "AsyncRunStream",
    "AsyncRuntime",
    "open",
    "run",
]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_T = TypeVar("_T")


async def run(function: Callable[_P, _R], /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
    """Calls any blocking function of quorate without blocking the event loop.

    ``await run(quorate.AgentRegistry, catalog=None)``, ``await run(quorate.consensus.dawid_skene, data)``. When the task is
    cancelled the work is too, as soon as it looks. A function given as ``progress`` is called on the event loop's thread, those
    given as ``rerank``, ``tokenizer`` and ``ocr`` on the worker's; all may be coroutine functions, which run on the loop.
    """
    if not callable(function):
        raise InvalidInput("invalid_argument", f"run is given a {type(function).__name__}; a function is expected")
    return await _run("read", function, args, kwargs)


async def _run(lane: str, function: Callable[..., _R], args: tuple[Any, ...], kwargs: dict[str, Any]) -> _R:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_R] = loop.create_future()
    cancel = _quorate.Cancel()
    context = copy_context()
    calls_back = False
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
        with _pool.waiting():
            while not done.wait(0.05):
                if cancel.cancelled:
                    raise Cancelled("cancelled", "the work was cancelled by its caller")
        if outcome[1] is not None:
            raise outcome[1]
        return outcome[0]

    return call


class _Face(Generic[_T]):
    """The asyncio face of an object."""

    def __init__(self, of: _T) -> None:
        self._of = of

    def __repr__(self) -> str:
        return f"{self._of!r}.aio"


def _twin(
    method: Callable[Concatenate[_T, _P], _R], lane: str = "read"
) -> Callable[Concatenate[_Face[_T], _P], Coroutine[Any, Any, _R]]:
    """The method, awaited."""

    @functools.wraps(method, assigned=("__name__", "__doc__"), updated=())
    async def twin(self: _Face[_T], /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        return await _run(lane, functools.partial(method, self._of), args, kwargs)

    try:
        twin.__signature__ = inspect.signature(method)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        # Methods of the native half have none.
        pass
    return twin


async def _iterated(items: Iterable[_T] | AsyncIterable[_T]) -> AsyncIterator[_T]:
    """The items of either kind of iterable."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


class AsyncKnowledgeBase(_Face[KnowledgeBase]):
    """The calls of :class:`quorate.KnowledgeBase`, awaited."""

    add = _twin(KnowledgeBase.add, "write")
    upsert = _twin(KnowledgeBase.upsert, "write")
    add_files = _twin(KnowledgeBase.add_files, "write")
    upsert_files = _twin(KnowledgeBase.upsert_files, "write")
    sync_files = _twin(KnowledgeBase.sync_files, "write")
    update_metadata = _twin(KnowledgeBase.update_metadata, "write")
    delete = _twin(KnowledgeBase.delete, "write")
    compact = _twin(KnowledgeBase.compact, "write")
    close = _twin(KnowledgeBase.close, "write")
    drop_tenant = _twin(KnowledgeBase.drop_tenant, "write")
    backup = _twin(KnowledgeBase.backup, "write")
    reembed = _twin(KnowledgeBase.reembed, "write")
    verify = _twin(KnowledgeBase.verify, "write")
    tenants = _twin(KnowledgeBase.tenants)
    refresh = _twin(KnowledgeBase.refresh)
    search = _twin(KnowledgeBase.search)
    search_batch = _twin(KnowledgeBase.search_batch)
    search_many = _twin(KnowledgeBase.search_many)
    search_vector = _twin(KnowledgeBase.search_vector)
    context = _twin(KnowledgeBase.context)
    context_of = _twin(KnowledgeBase.context_of)
    get = _twin(KnowledgeBase.get)
    ids = _twin(KnowledgeBase.ids)
    count = _twin(KnowledgeBase.count)
    facets = _twin(KnowledgeBase.facets)
    min_max = _twin(KnowledgeBase.min_max)
    documents = _twin(KnowledgeBase.documents)
    stats = _twin(KnowledgeBase.stats)
    versions = _twin(KnowledgeBase.versions)
    at = _twin(KnowledgeBase.at)
    tenant = _twin(KnowledgeBase.tenant)

    async def add_stream(
        self,
        documents: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
        *,
        batch_size: int = 256,
        upsert: bool = False,
        on_error: str = "stop",
    ) -> AsyncIterator[_kb.StreamStep]:
        _kb._check_at_least_one(batch_size, "batch_size")
        write, done, batch = (self.upsert if upsert else self.add), 0, []
        async for document in _iterated(documents):
            batch.append(document)
            if len(batch) == batch_size:
                yield (step := _kb._step(await write(batch, on_error=on_error), done, len(batch)))
                done, batch = step.done, []
        if batch:
            yield _kb._step(await write(batch, on_error=on_error), done, len(batch))

    async def search_stream(
        self, queries: Iterable[str] | AsyncIterable[str], *, concurrency: int = 16, **keywords: Any
    ) -> AsyncIterator[Hits]:
        _kb._check_at_least_one(concurrency, "concurrency")
        ahead: deque[asyncio.Task[Hits]] = deque()
        try:
            async for query in _iterated(queries):
                ahead.append(asyncio.ensure_future(self.search(query, **keywords)))
                if len(ahead) == concurrency:
                    yield await ahead.popleft()
            while ahead:
                yield await ahead.popleft()
        finally:
            for task in ahead:
                task.cancel()


AsyncKnowledgeBase.add_stream.__doc__ = KnowledgeBase.add_stream.__doc__
AsyncKnowledgeBase.search_stream.__doc__ = KnowledgeBase.search_stream.__doc__


class AsyncAgentRegistry(_Face[AgentRegistry]):
    """The calls of :class:`quorate.AgentRegistry`, awaited."""

    add = _twin(AgentRegistry.add, "write")
    add_all = _twin(AgentRegistry.add_all, "write")
    update = _twin(AgentRegistry.update, "write")
    remove = _twin(AgentRegistry.remove, "write")
    record_outcome = _twin(AgentRegistry.record_outcome, "write")
    import_card = _twin(AgentRegistry.import_card, "write")
    load = _twin(AgentRegistry.load, "write")
    save = _twin(AgentRegistry.save, "write")
    set_out_of_scope = _twin(AgentRegistry.set_out_of_scope, "write")
    calibrate = _twin(AgentRegistry.calibrate, "write")
    close = _twin(AgentRegistry.close, "write")
    export_card = _twin(AgentRegistry.export_card)
    get = _twin(AgentRegistry.get)
    list = _twin(AgentRegistry.list)
    match = _twin(AgentRegistry.match)
    select_panel = _twin(AgentRegistry.select_panel)
    versions = _twin(AgentRegistry.versions)
    out_of_scope = _twin(AgentRegistry.out_of_scope)
    calibration = _twin(AgentRegistry.calibration)
    taxonomy = _twin(AgentRegistry.taxonomy)
    tenant = _twin(AgentRegistry.tenant)

    async def subscribe(self) -> AsyncIterator[Record]:
        """Changes from the first step on: ``async for event in registry.aio.subscribe()``. It ends when the registry is closed.

        Any number of listeners can wait. Of more than 65,536 events that wait for one, the oldest are dropped, and an event of
        kind ``"missed"`` says so.
        """
        events = self._of.subscribe()
        with _listen.woken(events) as wake:
            while True:
                wake.clear()
                while (event := events._take()) is not None:
                    yield event
                if events._ended:
                    return
                await wake.wait()


class AsyncEmbedder(_Face[_quorate.Embedder]):
    """The calls of :class:`quorate.Embedder`, awaited."""

    embed = _twin(_quorate.Embedder.embed)
    embed_queries = _twin(_quorate.Embedder.embed_queries)
    embed_query = _twin(_quorate.Embedder.embed_query)
    embed_tokens = _twin(_quorate.Embedder.embed_tokens)


class AsyncCrossEncoder(_Face[_quorate.CrossEncoder]):
    """The calls of :class:`quorate.CrossEncoder`, awaited."""

    score = _twin(_quorate.CrossEncoder.score)


class AsyncModel(_Face[Model]):
    """The calls of :class:`quorate.Model`, awaited."""

    complete = _twin(Model.complete, "ask")
    count_tokens = _twin(Model.count_tokens)

    def stream(
        self,
        messages: str | Iterable[Mapping[str, Any] | Reply],
        *,
        tools: Iterable[Tool] | None = None,
        tool_choice: str | None = None,
        output: Any = None,
        repairs: int | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        stop: str | Sequence[str] | None = None,
        seed: int | None = None,
        cache: bool = False,
        extra: Mapping[str, Any] | None = None,
    ) -> AsyncModelStream:
        """Asks, and gives the answer piece by piece: ``async for event in model.aio.stream(messages)``.

        As :meth:`quorate.Model.stream`. When the task is cancelled the connection closes.
        """
        return AsyncModelStream(
            self._of.stream(
                messages,
                tools=tools,
                tool_choice=tool_choice,
                output=output,
                repairs=repairs,
                max_tokens=max_tokens,
                temperature=temperature,
                stop=stop,
                seed=seed,
                cache=cache,
                extra=extra,
            )
        )


class AsyncModelStream:
    """The events of one answer, as they come: an asynchronous iterator and context manager. See :class:`quorate.ModelStream`."""

    def __init__(self, of: ModelStream) -> None:
        self._of = of
        self._heard: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._woken = ExitStack()

    def __aiter__(self) -> AsyncModelStream:
        return self

    async def __anext__(self) -> ModelEvent:
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
        """Waits until there are events, or none will come any more."""
        loop = asyncio.get_running_loop()
        if self._heard is None or self._heard[0] is not loop:
            # An event belongs to one loop, and a stream may be read on in another.
            self._deafen()
            self._heard = (loop, self._woken.enter_context(_listen.woken(self._of._native)))
        heard = self._heard
        while True:
            heard[1].clear()
            events = self._of._native.take()
            if events is not None:
                self._of._events.extend(events)
                return
            if self._heard is not heard:
                raise InvalidInput("invalid_argument", "the stream is read in another event loop; read it in one at a time")
            await heard[1].wait()

    def _deafen(self) -> None:
        """Listens no more, and wakes who waits for the next event."""
        self._woken.close()
        heard, self._heard = self._heard, None
        if heard is not None:
            try:
                heard[0].call_soon_threadsafe(heard[1].set)
            except RuntimeError:
                # The loop is closed: nobody waits.
                pass

    async def result(self) -> Reply:
        """Reads what is left, and gives the whole answer. Codes: those of :meth:`quorate.Model.complete`, ``cancelled``."""
        async for _ in self:
            pass
        return self._of.result()

    def cancel(self) -> None:
        """Cancels the answer; the last event says so and has what had come."""
        self._of.cancel()

    async def aclose(self) -> None:
        """Lets go of the answer: no event comes any more."""
        self._of.close()
        self._deafen()

    async def __aenter__(self) -> AsyncModelStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class AsyncRunStream(AsyncModelStream):
    """The events of a run, as they come: an asynchronous iterator and context manager. See :class:`quorate.RunStream`."""

    _of: RunStream

    def __init__(self, of: RunStream) -> None:
        super().__init__(of)

    async def __anext__(self) -> RunEvent:  # type: ignore[override]
        return await super().__anext__()  # type: ignore[return-value]

    async def result(self) -> Answer:  # type: ignore[override]
        """Reads what is left, and gives the answer. Codes: those of :meth:`quorate.Runtime.ask`."""
        async for _ in self:
            pass
        return self._of.result()


class _RuntimeStream(_Face[Runtime]):
    """Calls of a runtime that give their events, for asyncio. Coroutine functions among the tools run on the loop."""

    def ask(
        self,
        question: str,
        *,
        agent: str | None = None,
        autonomous: bool = False,
        conversation: Conversation | Sequence[Mapping[str, Any] | Reply] | None = None,
        output: Any = None,
        tools: Tools | None = None,
        where: _kb.Where = None,
        budget: Budget | None = None,
        approve: Approve = None,
        seed: int = 0,
        idempotency_key: str | None = None,
    ) -> AsyncRunStream:
        """As :meth:`quorate.Runtime.ask`: ``async for event in runtime.aio.stream.ask("...")``."""
        given = {"agent": agent, "autonomous": autonomous, "where": where, "seed": seed, "idempotency_key": idempotency_key}
        loop = asyncio.get_running_loop()
        return AsyncRunStream(
            self._of.stream._ask(question, given, conversation, output, tools, budget, approve, loop)
        )

    def resume(
        self,
        run_id: str,
        decisions: Mapping[str, Any] | None = None,
        *,
        output: Any = None,
        tools: Tools | None = None,
        approve: Approve = None,
    ) -> AsyncRunStream:
        """As :meth:`quorate.Runtime.resume`, with the events from there."""
        return AsyncRunStream(self._of.stream._resume(run_id, decisions, output, tools, approve, asyncio.get_running_loop()))


class AsyncRuntime(_Face[Runtime]):
    """The calls of :class:`quorate.Runtime`, awaited. Coroutine functions among the tools run on the loop."""

    runs = _twin(Runtime.runs)
    run = _twin(Runtime.run)
    cancel = _twin(Runtime.cancel)
    delete = _twin(Runtime.delete, "write")
    prompt = _twin(Runtime.prompt)
    conversation = _twin(Runtime.conversation, "write")
    replay = _twin(Runtime.replay, "ask")

    @property
    def stream(self) -> _RuntimeStream:
        """The same calls with what happens as it happens."""
        return _RuntimeStream(self._of)

    async def ask(
        self,
        question: str,
        *,
        agent: str | None = None,
        autonomous: bool = False,
        conversation: Conversation | Sequence[Mapping[str, Any] | Reply] | None = None,
        output: Any = None,
        tools: Tools | None = None,
        where: _kb.Where = None,
        budget: Budget | None = None,
        approve: Approve = None,
        seed: int = 0,
        idempotency_key: str | None = None,
    ) -> Answer:
        """As :meth:`quorate.Runtime.ask`. When the task is cancelled the run is too."""
        given = {"agent": agent, "autonomous": autonomous, "where": where, "seed": seed, "idempotency_key": idempotency_key}
        loop = asyncio.get_running_loop()
        stream = self._of.stream._ask(question, given, conversation, output, tools, budget, approve, loop, whole=True)
        return await AsyncRunStream(stream).result()

    async def resume(
        self,
        run_id: str,
        decisions: Mapping[str, Any] | None = None,
        *,
        output: Any = None,
        tools: Tools | None = None,
        approve: Approve = None,
    ) -> Answer:
        """As :meth:`quorate.Runtime.resume`."""
        loop = asyncio.get_running_loop()
        stream = self._of.stream._resume(run_id, decisions, output, tools, approve, loop, whole=True)
        return await AsyncRunStream(stream).result()


class AsyncMcpTools(_Face[McpTools]):
    """The calls of :class:`quorate.McpTools`, awaited; ``await run(mcp_tools, command=[...])`` makes one."""

    refresh = _twin(McpTools.refresh)
    close = _twin(McpTools.close, "write")


class Opening:
    """A knowledge base that is being opened: await it, or use it in ``async with``."""

    def __init__(self, start: Callable[[], Coroutine[Any, Any, KnowledgeBase]]) -> None:
        self._start = start
        self._kb: KnowledgeBase | None = None

    def __await__(self) -> Generator[Any, None, KnowledgeBase]:
        return self._start().__await__()

    async def __aenter__(self) -> KnowledgeBase:
        self._kb = await self._start()
        return self._kb

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._kb is not None:
            await self._kb.aio.close()


def _opening(function: Callable[_P, KnowledgeBase]) -> Callable[_P, Opening]:
    def open(*args: _P.args, **kwargs: _P.kwargs) -> Opening:
        """:func:`quorate.open`, awaited: ``kb = await open("kb/")`` or ``async with open("kb/") as kb``."""
        return Opening(lambda: _run("write", function, args, kwargs))

    open.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return open


open = _opening(_kb.open)
