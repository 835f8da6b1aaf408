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
import inspect
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Generator, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from . import _kb, _listen, _quorate
from ._agents import AgentRegistry
from ._asking import (
    AsyncConversation,
    AsyncMemory,
    AsyncModel,
    AsyncModelStream,
    AsyncPanelStream,
    AsyncRun,
    AsyncRunStream,
    AsyncRuntime,
    evaluate_agents,
)
from ._await import Face, run, run_on, twin_of
from ._hits import Hits
from ._kb import KnowledgeBase
from ._keeping import AsyncCheckpoints, AsyncStateStore
from ._mcp import McpTools
from .workflows._aio import AsyncApp, AsyncGraphStream
from .workflows._queue_aio import (
    AsyncDead,
    AsyncDeadEvents,
    AsyncEvents,
    AsyncQueue,
    AsyncStories,
    AsyncSubscription,
    AsyncWorkers,
)
from .workflows._saga import AsyncSaga

if TYPE_CHECKING:
    from ._record import Record

__all__ = [
    "AsyncAgentRegistry",
    "AsyncApp",
    "AsyncCheckpoints",
    "AsyncConversation",
    "AsyncCrossEncoder",
    "AsyncDead",
    "AsyncDeadEvents",
    "AsyncEmbedder",
    "AsyncEvents",
    "AsyncGraphStream",
    "AsyncKnowledgeBase",
    "AsyncMcpTools",
    "AsyncMemory",
    "AsyncModel",
    "AsyncModelStream",
    "AsyncPanelStream",
    "AsyncQueue",
    "AsyncRun",
    "AsyncRunStream",
    "AsyncRuntime",
    "AsyncSaga",
    "AsyncStateStore",
    "AsyncStories",
    "AsyncSubscription",
    "AsyncWorkers",
    "evaluate_agents",
    "open",
    "run",
]

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def _iterated(items: Iterable[_T] | AsyncIterable[_T]) -> AsyncIterator[_T]:
    """The items of either kind of iterable."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


class AsyncKnowledgeBase(Face[KnowledgeBase]):
    """The calls of :class:`quorate.KnowledgeBase`, awaited."""

    add = twin_of(KnowledgeBase.add, "write")
    upsert = twin_of(KnowledgeBase.upsert, "write")
    add_files = twin_of(KnowledgeBase.add_files, "write")
    upsert_files = twin_of(KnowledgeBase.upsert_files, "write")
    sync_files = twin_of(KnowledgeBase.sync_files, "write")
    update_metadata = twin_of(KnowledgeBase.update_metadata, "write")
    delete = twin_of(KnowledgeBase.delete, "write")
    compact = twin_of(KnowledgeBase.compact, "write")
    close = twin_of(KnowledgeBase.close, "write")
    drop_tenant = twin_of(KnowledgeBase.drop_tenant, "write")
    backup = twin_of(KnowledgeBase.backup, "write")
    reembed = twin_of(KnowledgeBase.reembed, "write")
    verify = twin_of(KnowledgeBase.verify, "write")
    tenants = twin_of(KnowledgeBase.tenants)
    refresh = twin_of(KnowledgeBase.refresh)
    search = twin_of(KnowledgeBase.search)
    search_batch = twin_of(KnowledgeBase.search_batch)
    search_many = twin_of(KnowledgeBase.search_many)
    search_vector = twin_of(KnowledgeBase.search_vector)
    context = twin_of(KnowledgeBase.context)
    context_of = twin_of(KnowledgeBase.context_of)
    get = twin_of(KnowledgeBase.get)
    ids = twin_of(KnowledgeBase.ids)
    count = twin_of(KnowledgeBase.count)
    facets = twin_of(KnowledgeBase.facets)
    min_max = twin_of(KnowledgeBase.min_max)
    documents = twin_of(KnowledgeBase.documents)
    stats = twin_of(KnowledgeBase.stats)
    versions = twin_of(KnowledgeBase.versions)
    at = twin_of(KnowledgeBase.at)
    tenant = twin_of(KnowledgeBase.tenant)

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


class AsyncAgentRegistry(Face[AgentRegistry]):
    """The calls of :class:`quorate.AgentRegistry`, awaited."""

    add = twin_of(AgentRegistry.add, "write")
    add_all = twin_of(AgentRegistry.add_all, "write")
    update = twin_of(AgentRegistry.update, "write")
    remove = twin_of(AgentRegistry.remove, "write")
    record_outcome = twin_of(AgentRegistry.record_outcome, "write")
    import_card = twin_of(AgentRegistry.import_card, "write")
    load = twin_of(AgentRegistry.load, "write")
    save = twin_of(AgentRegistry.save, "write")
    set_out_of_scope = twin_of(AgentRegistry.set_out_of_scope, "write")
    calibrate = twin_of(AgentRegistry.calibrate, "write")
    close = twin_of(AgentRegistry.close, "write")
    export_card = twin_of(AgentRegistry.export_card)
    get = twin_of(AgentRegistry.get)
    list = twin_of(AgentRegistry.list)
    match = twin_of(AgentRegistry.match)
    select_panel = twin_of(AgentRegistry.select_panel)
    versions = twin_of(AgentRegistry.versions)
    out_of_scope = twin_of(AgentRegistry.out_of_scope)
    calibration = twin_of(AgentRegistry.calibration)
    taxonomy = twin_of(AgentRegistry.taxonomy)
    tenant = twin_of(AgentRegistry.tenant)

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


class AsyncEmbedder(Face[_quorate.Embedder]):
    """The calls of :class:`quorate.Embedder`, awaited."""

    embed = twin_of(_quorate.Embedder.embed)
    embed_queries = twin_of(_quorate.Embedder.embed_queries)
    embed_query = twin_of(_quorate.Embedder.embed_query)
    embed_tokens = twin_of(_quorate.Embedder.embed_tokens)


class AsyncCrossEncoder(Face[_quorate.CrossEncoder]):
    """The calls of :class:`quorate.CrossEncoder`, awaited."""

    score = twin_of(_quorate.CrossEncoder.score)


class AsyncMcpTools(Face[McpTools]):
    """The calls of :class:`quorate.McpTools`, awaited; ``await run(mcp_tools, command=[...])`` makes one."""

    refresh = twin_of(McpTools.refresh)
    close = twin_of(McpTools.close, "write")


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
        return Opening(lambda: run_on("write", function, args, kwargs))

    open.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return open


open = _opening(_kb.open)
